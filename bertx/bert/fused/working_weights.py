"""A layer's weights as its products need them: in the type of the arithmetic, keys beside values.

They are made again only when a weight may have changed, so evaluation, prediction and frozen layers convert
nothing. In training every pass converts them, unless the optimizer does: torch's fused ones change weights
without a trace.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LayerWeights(NamedTuple):
    """The matrices and biases of a layer's products, each (outputs, inputs) and (outputs,).

    Attributes:
        query: Of the queries.
        query_bias: Its bias.
        key_value: Of the keys, and below them the values.
        key_value_bias: Its bias.
        mixed: Of what the heads have mixed.
        mixed_bias: Its bias.
        wide: Into the feed-forward layer.
        wide_bias: Its bias.
        narrow: Out of it.
        narrow_bias: Its bias.
    """

    query: Tensor
    query_bias: Tensor
    key_value: Tensor
    key_value_bias: Tensor
    mixed: Tensor
    mixed_bias: Tensor
    wide: Tensor
    wide_bias: Tensor
    narrow: Tensor
    narrow_bias: Tensor


class WorkingWeights:
    """Keeps the `LayerWeights` of one layer up to date; no part of the model's state."""

    def __init__(self) -> None:
        self._sources: list[Tensor] = []
        self._versions: list[int] = []
        self._weights: LayerWeights | None = None
        self._is_followed = False

    def follow(self, parameters: Sequence[nn.Parameter], dtype: torch.dtype) -> list[Tensor]:
        """Lets an optimizer write its changes into the working weights, too, until `unfollow`.

        Args:
            parameters: As for `of`.
            dtype: The type of the products; another one than that of the parameters.

        Returns:
            For each parameter the tensor that has its values.
        """
        self._is_followed = True
        return _parts(self.of(parameters, dtype))

    def unfollow(self) -> None:
        """Takes back `follow`."""
        self._is_followed = False
        self.expire()

    def of(self, parameters: Sequence[nn.Parameter], dtype: torch.dtype) -> LayerWeights:
        """Returns the weights in a type; those that have it already, but for keys and values, themselves.

        Args:
            parameters: Of query, key, value, output, intermediate and output layer, each weight and bias.
            dtype: The type of the products.
        """
        is_right = self._weights is not None and self._weights.query.dtype == dtype
        if self._weights is None or not is_right or not self._is_fresh(parameters):
            # Aliases: they hold on to the memory, so that others cannot come to lie at the same address.
            self._sources = [parameter.detach() for parameter in parameters]
            self._versions = [-1 if p.is_inference() else p._version for p in parameters]
            with torch.inference_mode(False), torch.no_grad():  # training may use them after an evaluation
                if self._weights is not None and is_right and self._is_followed:
                    torch._foreach_copy_(_parts(self._weights), self._sources)
                else:
                    self._weights = _converted(self._sources, dtype)
        is_learning = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters)
        if is_learning and not self._is_followed:
            self.expire()
        return self._weights

    def expire(self) -> None:
        """Lets the next call convert the weights anew, whatever they look like."""
        self._versions = [-1] * len(self._versions)

    def _is_fresh(self, parameters: Sequence[nn.Parameter]) -> bool:
        """Tells whether no weight was changed, or replaced by another, since the last time."""
        return not _may_be_sharded() and all(
            not parameter.is_inference()
            and parameter._version == version
            and parameter.data_ptr() == source.data_ptr()
            for parameter, source, version in zip(parameters, self._sources, self._versions, strict=True)
        )

    def __deepcopy__(self, memo: dict[int, object]) -> WorkingWeights:
        return WorkingWeights()

    def __reduce__(self) -> tuple[type[WorkingWeights], tuple[()]]:
        return WorkingWeights, ()


def _may_be_sharded() -> bool:
    """Tells whether FSDP may be at work, which puts new weights in the place of old ones without a trace."""
    return "torch.distributed.fsdp" in sys.modules and torch.distributed.is_initialized()


def _converted(sources: Sequence[Tensor], dtype: torch.dtype) -> LayerWeights:
    """Converts weights, into memory of their own: a pass before may still need what it was given."""
    query, query_bias, key, key_bias, value, value_bias, *others = sources
    if query.dtype == dtype:
        keys_and_values = torch.cat([key, value]), torch.cat([key_bias, value_bias])
        return LayerWeights(query, query_bias, *keys_and_values, *others)
    shapes = [query.shape, query_bias.shape, (2 * len(key), key.shape[1]), (2 * len(key),)]
    shapes += [part.shape for part in others]
    weights = LayerWeights(*(torch.empty(shape, dtype=dtype) for shape in shapes))
    torch._foreach_copy_(_parts(weights), list(sources))
    return weights


def _parts(weights: LayerWeights) -> list[Tensor]:
    """Returns what belongs to each parameter, in their order."""
    query, query_bias, key_value, key_value_bias, *others = weights
    size = len(query)
    of_key, of_value = (key_value[:size], key_value_bias[:size]), (key_value[size:], key_value_bias[size:])
    return [query, query_bias, *of_key, *of_value, *others]
