"""LoRA: a frozen matrix learns through a product of two small ones beside it.

Source: Hu et al. 2021 (LoRA: Low-Rank Adaptation of Large Language Models), section 4.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertx.config.registrable import Configurable
from bertx.errors import ConfigError


@dataclass(frozen=True)
class Lora(Configurable):
    """Describes which matrices of an encoder learn through low-rank updates.

    Args:
        rank: The rank of each update.
        alpha: An update counts `alpha / rank` times; None: as `rank`, so that it counts once.
        dropout: Dropout on the input of an update.
        targets: Which linear layers have an update: the end of their names, such as `query` or
            `attention.output`, or a regular expression for it, such as `layers.[01].*.key`.

    Raises:
        ConfigError: A number is out of its range, or a target is no regular expression.
    """

    rank: int
    alpha: float | None = None
    dropout: float = 0.0
    targets: tuple[str, ...] = ("query", "value")

    def __post_init__(self) -> None:
        problems = []
        if self.rank < 1:
            problems.append(f"lora.rank: {self.rank}; expected at least 1")
        if self.alpha is not None and not 0 < self.alpha < math.inf:
            problems.append(f"lora.alpha: {self.alpha}; expected more than 0, or null for the rank")
        if not 0 <= self.dropout < 1:
            problems.append(f"lora.dropout: {self.dropout}; expected at least 0 and less than 1")
        if not self.targets:
            problems.append('lora.targets: is empty; expected names of layers such as "query"')
        for target in self.targets:
            try:
                re.compile(target)
            except re.error as error:
                problems.append(f'lora.targets: "{target}" is no regular expression ({error})')
        if problems:
            raise ConfigError("\n".join(problems))


class LoraLinear(nn.Linear):
    """A frozen linear layer and its trainable update: x Wᵀ + b + alpha/rank · dropout(x) Aᵀ Bᵀ.

    It has the weights of the layer it takes the place of, under the same names.

    Args:
        linear: The layer.
        lora: Rank, alpha and dropout of the update.
    """

    def __init__(self, linear: nn.Linear, lora: Lora) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.rank, self.alpha = lora.rank, lora.rank if lora.alpha is None else lora.alpha
        self.dropout = nn.Dropout(lora.dropout)
        self.lora_a = nn.Parameter(linear.weight.new_empty(lora.rank, linear.in_features))
        self.lora_b = nn.Parameter(linear.weight.new_zeros(linear.out_features, lora.rank))
        # As in the authors' code; the paper says normal. B is 0: training starts at the layer as it is.
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        self.train(linear.training)

    def forward(self, input: Tensor) -> Tensor:
        """Returns float (..., out_features) for (..., in_features)."""
        low = F.linear(self.dropout(input), self.lora_a)  # (..., rank)
        return super().forward(input) + F.linear(low, self.lora_b) * (self.alpha / self.rank)

    def merged(self) -> nn.Linear:
        """Returns a plain layer that computes the same, dropout aside."""
        has_bias = self.bias is not None
        linear = nn.Linear(self.in_features, self.out_features, bias=has_bias, device="meta")
        with torch.no_grad():
            update = self.lora_b @ self.lora_a * (self.alpha / self.rank)  # (out_features, in_features)
            linear.weight = nn.Parameter(self.weight + update, self.weight.requires_grad)
        linear.bias = self.bias
        return linear.train(self.training)


def add_lora(encoder: nn.Module, lora: Lora) -> None:
    """Freezes an encoder and gives its target layers trainable updates, in place.

    Raises:
        ConfigError: A target is the name of no linear layer.
    """
    linear = {name: layer for name, layer in encoder.named_modules() if type(layer) is nn.Linear}
    chosen: set[str] = set()
    for target in lora.targets:
        found = {name for name in linear if re.fullmatch(rf"(.*\.)?({target})", name)}
        if not found:
            raise ConfigError(
                f'lora.targets: no linear layer is called "{target}"; the encoder has '
                f"{', '.join(_kinds(list(linear)))}, where # is the number of a layer"
            )
        chosen |= found
    encoder.requires_grad_(False)
    for name, layer in linear.items():
        if name in chosen:
            encoder.set_submodule(name, LoraLinear(layer, lora))


def merge_lora(module: nn.Module) -> None:
    """Adds every update to the matrix it belongs to, in place; the layers are plain ones then."""
    for name, layer in list(lora_layers(module)):
        module.set_submodule(name, layer.merged())


def lora_layers(module: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """Yields the layers of a module that have updates, with their names."""
    for name, layer in module.named_modules():
        if isinstance(layer, LoraLinear):
            yield name, layer


def _kinds(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(re.sub(r"\d+", "#", name) for name in names))
