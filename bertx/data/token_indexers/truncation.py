"""Which pieces of an over-long text, or pair of texts, are kept.

Legend: all arrays are integers of shape (rows,), counted in pieces without `[CLS]` and `[SEP]`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bertx.data.token_indexers.token_indexer import Ints

Truncation: TypeAlias = Literal["longest_first", "head", "tail", "head_tail"]


class Kept(NamedTuple):
    """How much of each text is kept: its first `head` and its last `tail` pieces, which never overlap."""

    head: Ints
    tail: Ints

    @property
    def lengths(self) -> Ints:
        """Pieces kept of each text."""
        return self.head + self.tail


def truncate(
    truncation: Truncation, first: Ints, second: Ints, *, budget: int, head: int
) -> tuple[Kept, Kept]:
    """Decides how much of the first and of the second text of each row is kept.

    All but `longest_first` see a pair as one long text: A's pieces, then B's.

    Args:
        truncation: `longest_first` shortens the longer text of a pair, from its end, until both fit or are
            of one length; from there both shrink, and of an odd budget the longer text keeps the extra
            piece (B if they were equal), as the Rust library `tokenizers` does it. `head` keeps the first
            pieces, `tail` the last, `head_tail` the first `head` and the last `budget - head` pieces.
        first: Lengths of the first texts.
        second: Lengths of the second texts; zeros for single texts.
        budget: Pieces that a row may have.
        head: Pieces that `head_tail` keeps from the start; 1 to `budget`.

    Source: Sun et al. 2019 (How to Fine-Tune BERT), section 5.3.1, for the last three.
    """
    if truncation == "longest_first":
        return _longest_first(first, second, budget)
    kept_head = {"head": budget, "tail": 0, "head_tail": head}[truncation]
    kept_tail = budget - kept_head
    fits = first + second <= budget
    return (
        _cut_unless(fits, first, np.minimum(first, kept_head), np.clip(kept_tail - second, 0, first)),
        _cut_unless(fits, second, np.clip(kept_head - first, 0, second), np.minimum(second, kept_tail)),
    )


def kept_mask(offsets: Ints, kept: Kept) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Marks the pieces to keep among those of all texts, which stand end to end.

    Args:
        offsets: (rows + 1,); text i has the pieces `offsets[i]` to `offsets[i + 1] - 1`.
        kept: How much of each text is kept.

    Returns:
        bool, (pieces of all texts,).
    """
    lengths = np.diff(offsets)
    positions = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    from_head = positions < np.repeat(kept.head, lengths)
    from_tail = positions >= np.repeat(lengths - kept.tail, lengths)
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = from_head | from_tail
    return mask


def _longest_first(first: Ints, second: Ints, budget: int) -> tuple[Kept, Kept]:
    shorter = np.minimum(first, second)
    longer = np.maximum(first, second)
    kept_longer = np.minimum(longer, np.maximum(shorter, budget - shorter))
    both_too_long = shorter + kept_longer > budget
    kept_shorter = np.where(both_too_long, budget // 2, shorter)
    kept_longer = np.where(both_too_long, budget - budget // 2, kept_longer)
    first_is_longer = first > second
    zeros = np.zeros_like(first)
    return (
        Kept(np.where(first_is_longer, kept_longer, kept_shorter), zeros),
        Kept(np.where(first_is_longer, kept_shorter, kept_longer), zeros),
    )


def _cut_unless(
    fits: np.ndarray[tuple[int], np.dtype[np.bool_]], sizes: Ints, head: Ints, tail: Ints
) -> Kept:
    return Kept(np.where(fits, sizes, head), np.where(fits, 0, tail))
