"""Packs any number of segments into rows of one length, as KerasHub does.

Source: keras_hub/src/layers/preprocessing/multi_segment_packer.py, version 0.32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bertx.bert.tokenization.tokenizer_settings import Side

PackingTruncation: TypeAlias = Literal["round_robin", "waterfall"]
PACKING_TRUNCATIONS: tuple[PackingTruncation, ...] = ("round_robin", "waterfall")


class PackedRows(NamedTuple):
    """Rows ready for a model."""

    token_ids: NDArray[np.int32]
    """int32, (rows, sequence_length)."""
    segment_ids: NDArray[np.int32]
    """int32, (rows, sequence_length): which segment each token is from; 0 on padding."""
    padding_mask: NDArray[np.bool_]
    """bool, (rows, sequence_length): True for a token that is not padding."""


class SegmentPacker:
    """Makes `[CLS] A [SEP] B [SEP] C [SEP]`, of fixed length, of the ids of segments.

    Args:
        sequence_length: Tokens of each row, special ones included.
        start_value: Id that starts a row.
        end_value: Id that ends each segment.
        pad_value: Id that fills short rows.
        truncate: How segments share a row that is too short for them: `round_robin` gives one token to each
            in turn, `waterfall` fills the first segment, then the next.
        padding_side: Where short rows are filled.

    Raises:
        ValueError: `truncate` is neither of the two.

    Example:
        Segments `[5, 6, 7]` and `[8, 9]` in 7 tokens: `[CLS] 5 6 [SEP] 8 9 [SEP]`, in both ways; in 6 tokens
        `round_robin` gives `[CLS] 5 6 [SEP] 8 [SEP]` and `waterfall` gives `[CLS] 5 6 7 [SEP] [SEP]`.
    """

    def __init__(
        self,
        sequence_length: int,
        *,
        start_value: int,
        end_value: int,
        pad_value: int,
        truncate: PackingTruncation = "round_robin",
        padding_side: Side = "right",
    ) -> None:
        if truncate not in PACKING_TRUNCATIONS:
            raise ValueError(f"truncate is {truncate!r}; expected {' or '.join(PACKING_TRUNCATIONS)}")
        self.sequence_length = sequence_length
        self.start_value = start_value
        self.end_value = end_value
        self.pad_value = pad_value
        self.truncate = truncate
        self.padding_side = padding_side

    def __call__(self, segments: Sequence[Sequence[Sequence[int]]]) -> PackedRows:
        """Packs rows.

        Args:
            segments: One or more columns, each with the ids of one segment per row.

        Raises:
            ValueError: There is no segment, columns differ in length, or `sequence_length` has no room for
                the special tokens.
        """
        if not segments:
            raise ValueError("there are no segments; expected one or more")
        if len({len(column) for column in segments}) > 1:
            sizes = ", ".join(str(len(column)) for column in segments)
            raise ValueError(f"the segments have {sizes} rows; expected as many in each")
        room = self.sequence_length - 1 - len(segments)
        if room < 0:
            raise ValueError(
                f"sequence_length is {self.sequence_length}; expected at least {1 + len(segments)}, "
                f"for the special tokens of {len(segments)} segments"
            )
        shape = (len(segments[0]), self.sequence_length)
        token_ids = np.full(shape, self.pad_value, dtype=np.int32)
        segment_ids = np.zeros(shape, dtype=np.int32)
        for row, parts in enumerate(zip(*segments, strict=True)):
            ids, numbers = self._row(parts, kept_tokens([len(part) for part in parts], room, self.truncate))
            place = slice(0, len(ids)) if self.padding_side == "right" else slice(-len(ids), None)
            token_ids[row, place] = ids
            segment_ids[row, place] = numbers
        return PackedRows(token_ids, segment_ids, token_ids != self.pad_value)

    def _row(self, parts: Sequence[Sequence[int]], kept: Sequence[int]) -> tuple[list[int], list[int]]:
        ids, numbers = [self.start_value], [0]
        for number, (part, size) in enumerate(zip(parts, kept, strict=True)):
            ids += [*part[:size], self.end_value]
            numbers += [number] * (size + 1)
        return ids, numbers


def kept_tokens(lengths: Sequence[int], room: int, truncate: PackingTruncation) -> list[int]:
    """Decides how many tokens of each segment stay.

    Args:
        lengths: Tokens of each segment.
        room: Tokens that all may have together.
        truncate: See `SegmentPacker`.
    """
    kept = [0] * len(lengths)
    if truncate == "waterfall":
        for number, length in enumerate(lengths):
            kept[number] = min(length, room)
            room -= kept[number]
        return kept
    while room > 0 and (open_segments := [n for n, length in enumerate(lengths) if kept[n] < length]):
        # Whole rounds at once, then one token each to the first segments.
        rounds = min(room // len(open_segments), min(lengths[n] - kept[n] for n in open_segments))
        takers = open_segments if rounds else open_segments[:room]
        for number in takers:
            kept[number] += max(rounds, 1)
        room -= len(takers) * max(rounds, 1)
    return kept
