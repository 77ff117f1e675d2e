"""Fresh weights, and the functions between the layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from bertx.bert.config import Activation, BertConfig, HiddenAct

ACTIVATIONS: dict[HiddenAct, Activation] = {
    "gelu": F.gelu,  # Hendrycks & Gimpel 2016, exact
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}
GELU_APPROXIMATIONS: dict[Activation, str] = {ACTIVATIONS["gelu"]: "none", ACTIVATIONS["gelu_new"]: "tanh"}


def activation_of(config: BertConfig) -> Activation:
    """Returns the activation of the feed-forward layer."""
    return ACTIVATIONS[config.hidden_act] if isinstance(config.hidden_act, str) else config.hidden_act


def initialize(module: nn.Module, config: BertConfig) -> None:
    """Draws fresh weights in place: normal for matrices, zero for biases, one for the scale of norms.

    Source: the released code of Devlin et al. 2019, which truncates the normal distribution at two standard
    deviations; Hugging Face does not, and neither does the config's default.
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        draw(module.weight, config)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight[module.padding_idx].detach())
    if isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


def draw(weight: Tensor, config: BertConfig) -> None:
    """Fills a matrix with random numbers."""
    std = config.initializer_range
    if config.initializer == "normal":
        nn.init.normal_(weight, std=std)
    else:
        nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def resized(weight: Tensor, rows: int, config: BertConfig) -> nn.Parameter:
    """Returns a matrix with another number of rows: the first ones as they are, further ones fresh."""
    fresh = torch.empty(rows, weight.shape[1], dtype=weight.dtype, device=weight.device)
    draw(fresh, config)
    kept = min(rows, len(weight))
    fresh[:kept] = weight.detach()[:kept]
    return nn.Parameter(fresh, weight.requires_grad)


class WithoutInitialization(TorchFunctionMode):
    """A context in which new modules keep what their memory held: their weights are about to be read."""

    def __torch_function__(
        self,
        func: Callable[..., Tensor],
        types: Sequence[type],
        args: tuple[Tensor, ...] = (),
        kwargs: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Does nothing where a tensor is to be filled with fresh values."""
        named = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)
