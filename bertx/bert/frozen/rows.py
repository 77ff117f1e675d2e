"""Tokens of all sequences one below the other, followed by zeros up to one of few numbers of rows.

Frozen layers hand such rows from one to the next without copying: hidden states are a view of them, and carry
them along.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

FEW_ROWS, MANY_ROWS = 32, 256  # numbers of rows are multiples of the one up to the other, then of that
_CARRIED = "_bertx_rows"


def whole_rows(rows: int) -> int:
    """Returns the number of rows to compute for that many: the next one that oneDNN has a kernel for by then.

    For each number of rows that it has not met oneDNN writes a kernel, which takes longer than to compute the
    product of a small batch.
    """
    step = FEW_ROWS if rows <= MANY_ROWS else MANY_ROWS
    return math.ceil(rows / step) * step


def followed_by_zeros(values: Tensor, rows: int, dtype: torch.dtype) -> Tensor:
    """Copies (..., inputs) to (rows, inputs) of a type, of which those that are left over are zeros."""
    given = values.numel() // values.shape[-1]
    copy = torch.empty(rows, values.shape[-1], dtype=dtype)
    copy[:given].view(values.shape).copy_(values)
    copy[given:].zero_()
    return copy


def at_least(rows: Tensor, number: int) -> Tensor:
    """Returns the rows, followed by zeros if there are fewer than that."""
    return rows if len(rows) >= number else followed_by_zeros(rows, number, rows.dtype)


def hidden_states_of(rows: Tensor, batch: int, tokens: int) -> Tensor:
    """Returns (batch, tokens, hidden), a view of (rows, hidden); what is below becomes zeros."""
    rows[batch * tokens :].zero_()
    hidden_states = rows[: batch * tokens].view(batch, tokens, -1)
    vars(hidden_states)[_CARRIED] = rows
    return hidden_states


def rows_of(hidden_states: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns (rows, hidden) of a type for (batch, tokens, hidden): the rows carried along, or a copy."""
    carried = vars(hidden_states).get(_CARRIED)
    if isinstance(carried, Tensor) and carried.dtype == dtype:
        return carried
    batch, tokens, _ = hidden_states.shape
    return followed_by_zeros(hidden_states, whole_rows(batch * tokens), dtype)
