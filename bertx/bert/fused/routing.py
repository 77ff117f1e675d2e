"""Which layers can be computed by `FusedLayer`, and the way there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from bertx.bert.attention import Options
from bertx.bert.fused.fused_layer import FusedLayer
from bertx.bert.fused.keep_masks import is_recorded
from bertx.bert.fused.layer_plan import LayerPlan
from bertx.bert.initialization import GELU_APPROXIMATIONS

if TYPE_CHECKING:
    from bertx.bert.model import BertLayer

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


_contexts: list[str] = []  # that are open; torch cannot compile what reads a ContextVar


@contextmanager
def step_by_step() -> Iterator[None]:
    """Lets layers be computed by their modules, whole: the sums of other programs, to the last bit."""
    _contexts.append("step by step")
    try:
        yield
    finally:
        _contexts.pop()


def is_step_by_step() -> bool:
    """Tells whether layers are to be computed by their modules."""
    return bool(_contexts)


def fused(layer: BertLayer, hidden_states: Tensor, visible: Tensor | None, options: Options) -> Tensor | None:
    """Computes a layer as one step, or returns None where it is asked for, or made of, something special.

    Args:
        layer: The layer.
        hidden_states: float, (batch, tokens, hidden).
        visible: As `BertLayer` takes it.
        options: As `BertLayer` takes them.

    Returns:
        float, (batch, tokens, hidden), or (batch, 1, hidden) if only the first tokens are asked for.
    """
    if not (_is_simple(hidden_states, visible, options) and _is_plain(layer)):
        return None
    attention, feed_forward = layer.attention, layer.feed_forward
    norms = [layer.attention_norm, layer.feed_forward_norm]
    if any(norm.weight.dtype != hidden_states.dtype for norm in norms):
        return None
    parameters = product_parameters(layer)
    dtype = hidden_states.dtype
    if torch.is_autocast_enabled("cpu") and dtype != torch.float64:  # which autocast leaves alone
        dtype = torch.get_autocast_dtype("cpu")
    dropout = layer.dropout.p if layer.training else 0.0
    attention_dropout = attention.dropout_prob if attention.training else 0.0
    plan = LayerPlan(
        heads=len(attention.heads),
        eps=(norms[0].eps, norms[1].eps),
        dropout=dropout,
        attention_dropout=attention_dropout,
        approximate=GELU_APPROXIMATIONS[feed_forward.activation],
        asking=1 if options.only_first else hidden_states.shape[1],
    )
    with torch.autocast("cpu", enabled=False):
        bias = (
            None
            if visible is None
            else torch.zeros_like(visible, dtype=dtype).masked_fill_(~visible, -torch.inf)
        )
        weights = layer.working_weights.of(parameters, dtype)
        scales = [parameter for norm in norms for parameter in (norm.weight, norm.bias)]
        output: Tensor = FusedLayer.apply(
            hidden_states.contiguous(), bias, plan, weights, *scales, *parameters
        )  # type: ignore[no-untyped-call]
    return output


def plain_layers(model: nn.Module) -> list[BertLayer]:
    """Returns the layers, in a model, that can be computed as one step, if that is all they are asked for."""
    layers = [cast("BertLayer", module) for module in model.modules() if hasattr(module, "working_weights")]
    return [layer for layer in layers if _is_plain(layer)]


def product_parameters(layer: BertLayer) -> list[nn.Parameter]:
    """Returns the parameters of a layer's matrix products, in the order of `WorkingWeights.of`."""
    return [parameter for product in _products(layer) for parameter in product.parameters()]


def _products(layer: BertLayer) -> list[nn.Linear]:
    attention, feed_forward = layer.attention, layer.feed_forward
    of_attention = [attention.query, attention.key, attention.value, attention.output]
    return [*of_attention, feed_forward.intermediate, feed_forward.output]


def _is_simple(hidden_states: Tensor, visible: Tensor | None, options: Options) -> bool:
    """Tells whether there is nothing beyond an encoder's tokens in, and vectors out, on a CPU."""
    plain = options._replace(only_first=False) == Options()
    return (
        plain
        and not is_step_by_step()
        and type(hidden_states) is Tensor
        and hidden_states.device.type == "cpu"
        and hidden_states.dtype in FLOATS
        and (visible is None or visible.shape[1:3] == (1, 1))
        and not is_recorded()
    )


def _is_plain(layer: BertLayer) -> bool:
    """Tells whether a layer consists of torch's own modules, as made, and nobody watches what is inside."""
    attention, feed_forward = layer.attention, layer.feed_forward
    linear = _products(layer)
    norms = (layer.attention_norm, layer.feed_forward_norm)
    return (
        len(attention.heads) > 0
        and all(type(module) is nn.Linear for module in linear)
        and all(type(module) is nn.LayerNorm for module in norms)
        and all(type(module.weight) is nn.Parameter for module in (*linear, *norms))
        and feed_forward.activation in GELU_APPROXIMATIONS
        and feed_forward.chunk_size == 0
        and not any(map(_is_watched, (*linear, *norms, attention, feed_forward, layer.dropout)))
    )


def _is_watched(module: nn.Module) -> bool:
    """Tells whether somebody has hooked in."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )
