from __future__ import annotations

import numpy as np
import pytest

from bertx.bert.tokenization.packing import SegmentPacker, kept_tokens

# "the quick brown fox the quick" and "fox . brown", with 5 the first piece after the special tokens.
QUICK, FOX = [5, 6, 7, 8, 5, 6], [8, 9, 7]


def packed(segments: list[list[int]], length: int, **options) -> tuple[list[int], list[int], list[bool]]:
    packer = SegmentPacker(length, start_value=2, end_value=3, pad_value=0, **options)
    rows = packer([[segment] for segment in segments])
    return tuple(array[0].tolist() for array in rows)


def test_round_robin_gives_each_segment_a_token_in_turn() -> None:
    ids, segments, mask = packed([QUICK, FOX], 8)
    assert (ids, segments) == ([2, 5, 6, 7, 3, 8, 9, 3], [0, 0, 0, 0, 0, 1, 1, 1])
    assert mask == [True] * 8


def test_waterfall_fills_the_first_segment_first() -> None:
    ids, segments, _ = packed([QUICK, FOX], 8, truncate="waterfall")
    assert (ids, segments) == ([2, 5, 6, 7, 8, 5, 3, 3], [0, 0, 0, 0, 0, 0, 0, 1])


def test_short_rows_are_filled() -> None:
    ids, segments, mask = packed([QUICK, FOX], 14)
    assert ids == [2, 5, 6, 7, 8, 5, 6, 3, 8, 9, 7, 3, 0, 0]
    assert segments == [0] * 8 + [1] * 4 + [0, 0]
    assert mask == [True] * 12 + [False] * 2
    assert packed([[5, 8]], 6, padding_side="left")[0] == [0, 0, 2, 5, 8, 3]


def test_each_segment_has_its_number() -> None:
    ids, segments, _ = packed([[5], [8], [10, 11]], 14)
    assert ids == [2, 5, 3, 8, 3, 10, 11, 3] + [0] * 6
    assert segments == [0, 0, 0, 1, 1, 2, 2, 2] + [0] * 6


def test_rows_are_int32_and_many() -> None:
    packer = SegmentPacker(4, start_value=2, end_value=3, pad_value=0)
    rows = packer([[[5], [], [5, 6, 7]]])
    assert rows.token_ids.tolist() == [[2, 5, 3, 0], [2, 3, 0, 0], [2, 5, 6, 3]]
    assert (rows.token_ids.dtype, rows.segment_ids.dtype) == (np.int32, np.int32)
    assert packer([[]]).token_ids.shape == (0, 4)


@pytest.mark.parametrize(
    ("lengths", "room", "expected"),
    [
        ([3, 0, 9, 9], 11, [3, 0, 4, 4]),
        ([3, 0, 9, 9], 12, [3, 0, 5, 4]),
        ([2, 2], 9, [2, 2]),
        ([5, 5, 5], 2, [1, 1, 0]),
        ([5, 5], 0, [0, 0]),
    ],
)
def test_round_robin_shares_what_there_is(lengths, room, expected) -> None:
    assert kept_tokens(lengths, room, "round_robin") == expected


@pytest.mark.parametrize(
    ("segments", "options", "message"),
    [
        ([], {}, r"^there are no segments; expected one or more$"),
        ([[[5]], [[5], [6]]], {}, r"^the segments have 1, 2 rows; expected as many in each$"),
        (
            [[[5]]] * 8,
            {},
            r"^sequence_length is 8; expected at least 9, for the special tokens of 8 segments$",
        ),
        ([[[5]]], {"truncate": "head"}, r"^truncate is 'head'; expected round_robin or waterfall$"),
    ],
)
def test_impossible_packing_is_refused(segments, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentPacker(8, start_value=2, end_value=3, pad_value=0, **options)(segments)
