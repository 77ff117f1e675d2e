"""A batch without its padding: the real tokens of all sequences, one after the other.

Padding is taken out before the first layer and put back after the last. In between there is one long row,
(1, total, hidden), whose tokens look at those of their own sequence only. Where the real tokens are is found
on the CPU, before a batch is copied to a GPU: asking there would mean to wait for all that is queued.

Shapes are those of `bertx.bert.model`; `total` is the number of real tokens in the batch.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

HALF_PRECISION = (torch.bfloat16, torch.float16)
LARGEST_HEAD = 256
HEAD_MULTIPLE = 8
OLDEST_GPU = (8, 0)  # compute capability, from which on torch has flash attention


class Packing(NamedTuple):
    """Where the real tokens of a padded batch are.

    Attributes:
        tokens: int64, (total,); their places among all `batch * tokens`, row after row.
        offsets: int32, (batch + 1,); where each sequence begins among them, and the last one ends.
        width: Positions per sequence, padding included.
    """

    tokens: Tensor
    offsets: Tensor
    width: int

    @classmethod
    def of(cls, attention_mask: Tensor) -> Self | None:
        """Finds the real tokens.

        Args:
            attention_mask: bool, (batch, tokens), on the CPU; True marks a real token.

        Returns:
            Where they are; None if a row does not begin with one, so that it may have no token at all.
        """
        if not bool(attention_mask[:, 0].all()):
            return None
        lengths = attention_mask.sum(dim=1)  # (batch,)
        offsets = F.pad(lengths.cumsum(0), (1, 0)).int()
        return cls(attention_mask.flatten().nonzero().flatten(), offsets, attention_mask.shape[1])

    @property
    def batch(self) -> int:
        """The number of sequences."""
        return len(self.offsets) - 1

    @property
    def columns(self) -> Tensor:
        """The position of each real token in its sequence: int64, (1, total)."""
        return (self.tokens % self.width)[None]

    def take_out(self, padded: Tensor | None) -> Tensor | None:
        """Returns (1, total) for (batch, tokens); nothing for nothing."""
        return None if padded is None else padded.flatten()[self.tokens][None]

    def put_back(self, hidden_states: Tensor, only_first: bool) -> Tensor:
        """Puts zeros where padding was.

        Args:
            hidden_states: float, (1, total, hidden); or (1, batch, hidden) if they are of `first_tokens`.
            only_first: Whether they are.

        Returns:
            float, (batch, tokens, hidden), or (batch, 1, hidden).
        """
        hidden_states = hidden_states[0]
        if only_first:
            return hidden_states[:, None]
        return self._padded(hidden_states)

    def attention(
        self, query: Tensor, key: Tensor, value: Tensor, *, dropout: float, only_first: bool
    ) -> Tensor:
        """Mixes the values of each sequence's tokens; see `BertAttention`.

        Args:
            query: float, (1, heads, total, head_size); or (1, heads, batch, head_size), of first tokens.
            key: float, (1, heads, total, head_size).
            value: As `key`.
            dropout: The dropout probability of attention.
            only_first: Whether the queries are those of first tokens.

        Returns:
            float, of the shape of `query`.
        """
        query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))  # (total, heads, ...)
        attend = self._attend_in_one_kernel if can_be_one_kernel(query) else self._attend_padded
        mixed = attend(query, key, value, dropout, only_first)  # (total or batch, heads, head_size)
        return mixed.transpose(0, 1)[None]

    def _attend_in_one_kernel(
        self, query: Tensor, key: Tensor, value: Tensor, dropout: float, only_first: bool
    ) -> Tensor:
        offsets, longest = self.offsets, self.width
        if only_first:
            offsets = torch.arange(len(self.offsets), dtype=torch.int32, device=query.device)
            longest = 1
        # What `torch.nn.attention.varlen.varlen_attn` calls, without the dropout that BERT is trained with.
        mixed: Tensor = torch.ops.aten._flash_attention_forward(
            *(query, key, value, offsets, self.offsets, longest, self.width),
            *(dropout, False, False),  # neither causal nor with probabilities to debug
        )[0]
        return mixed

    def _attend_padded(
        self, query: Tensor, key: Tensor, value: Tensor, dropout: float, only_first: bool
    ) -> Tensor:
        """Does the same where there is no kernel for it: padding is back while tokens look at each other."""
        visible = self._padded(torch.ones_like(self.tokens, dtype=torch.bool))  # (batch, tokens)
        queries = query[:, None] if only_first else self._padded(query)
        mixed = F.scaled_dot_product_attention(
            queries.transpose(1, 2),  # (batch, heads, tokens or 1, head_size)
            self._padded(key).transpose(1, 2),
            self._padded(value).transpose(1, 2),
            attn_mask=visible[:, None, None],
            dropout_p=dropout,
        ).transpose(1, 2)  # (batch, tokens or 1, heads, head_size)
        return mixed[:, 0] if only_first else mixed.flatten(0, 1)[self.tokens]

    def _padded(self, packed: Tensor) -> Tensor:
        """Returns (batch, tokens, ...) for (total, ...)."""
        places = packed.new_zeros(self.batch * self.width, *packed.shape[1:])
        filled = places.index_copy(0, self.tokens, packed)
        return filled.view(self.batch, self.width, *packed.shape[1:])


def packing_of(input_ids: Tensor | None, tokens: Tensor | None, offsets: Tensor | None) -> Packing | None:
    """Puts together where the real tokens are, if that is known; see `Packing`."""
    if input_ids is None or tokens is None or offsets is None:
        return None
    return Packing(tokens, offsets, input_ids.shape[1])


def first_tokens(hidden_states: Tensor, packing: Packing | None) -> Tensor:
    """Returns the first token of each sequence.

    Args:
        hidden_states: float, (batch, tokens, hidden), or (1, total, hidden) if packed.
        packing: Where the real tokens are, if packed.

    Returns:
        float, (batch, 1, hidden), or (1, batch, hidden) if packed.
    """
    return hidden_states[:, :1] if packing is None else hidden_states[:, packing.offsets[:-1].long()]


def can_be_one_kernel(query: Tensor) -> bool:
    """Tells whether flash attention computes with such queries, float (total, heads, head_size)."""
    size = query.shape[2]
    return (
        query.device.type == "cuda"
        and query.dtype in HALF_PRECISION
        and size <= LARGEST_HEAD
        and size % HEAD_MULTIPLE == 0
    )


def saves_padding(device: torch.device) -> bool:
    """Tells whether batches for a device are to be packed."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= OLDEST_GPU
