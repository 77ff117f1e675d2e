import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.data.token_indexers.truncation import Kept, kept_mask, truncate

sizes = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8)


def kept_of(
    truncation: str, first: int, second: int, budget: int, head: int = 1
) -> tuple[list[int], list[int]]:
    """Pieces of A and of B that are kept, by their numbers."""
    kept = truncate(truncation, np.array([first]), np.array([second]), budget=budget, head=head)
    masks = [kept_mask(np.array([0, size]), part) for size, part in zip((first, second), kept, strict=True)]
    return np.flatnonzero(masks[0]).tolist(), np.flatnonzero(masks[1]).tolist()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (9, 4, ([0, 1, 2], [0, 1])),
        (4, 9, ([0, 1], [0, 1, 2])),
        (5, 5, ([0, 1], [0, 1, 2])),
        (1, 9, ([0], [0, 1, 2, 3])),
        (9, 1, ([0, 1, 2, 3], [0])),
        (2, 3, ([0, 1], [0, 1, 2])),
        (9, 0, ([0, 1, 2, 3, 4], [])),
    ],
)
def test_longest_first_cuts_the_longer_text_from_its_end(first, second, expected):
    assert kept_of("longest_first", first, second, budget=5) == expected


def test_head_cuts_the_second_text_before_the_first():
    assert kept_of("head", 4, 4, budget=6) == ([0, 1, 2, 3], [0, 1])
    assert kept_of("head", 9, 4, budget=6) == ([0, 1, 2, 3, 4, 5], [])


def test_tail_cuts_the_first_text_before_the_second():
    assert kept_of("tail", 4, 4, budget=6) == ([2, 3], [0, 1, 2, 3])
    assert kept_of("tail", 4, 9, budget=6) == ([], [3, 4, 5, 6, 7, 8])


def test_head_tail_keeps_both_ends_of_a_single_text():
    assert kept_of("head_tail", 10, 0, budget=5, head=2) == ([0, 1, 7, 8, 9], [])


def test_head_tail_of_a_pair_keeps_the_start_of_a_and_the_end_of_b():
    assert kept_of("head_tail", 4, 4, budget=5, head=2) == ([0, 1], [1, 2, 3])
    assert kept_of("head_tail", 1, 9, budget=5, head=2) == ([0], [0, 6, 7, 8])


@given(sizes, st.sampled_from(["head", "tail", "head_tail"]), st.integers(1, 20), st.data())
def test_a_pair_is_cut_as_one_long_text(rows, truncation, budget, data):
    head = data.draw(st.integers(1, budget))
    from_head, from_tail = {"head": (budget, 0), "tail": (0, budget), "head_tail": (head, budget - head)}[
        truncation
    ]
    for first, second in rows:
        whole = [*range(first + second)]
        cut = whole if len(whole) <= budget else whole[:from_head] + whole[len(whole) - from_tail :]
        kept_first, kept_second = kept_of(truncation, first, second, budget, head)
        assert kept_first + [first + piece for piece in kept_second] == cut


@given(sizes, st.sampled_from(["longest_first", "head", "tail", "head_tail"]), st.integers(1, 20))
def test_rows_fill_the_budget_and_never_exceed_it(rows, truncation, budget):
    first, second = np.array(rows).T
    kept_first, kept_second = truncate(truncation, first, second, budget=budget, head=1)
    kept = kept_first.lengths + kept_second.lengths
    assert kept.tolist() == np.minimum(first + second, budget).tolist()


def test_the_mask_marks_the_kept_pieces_of_every_text():
    kept = Kept(head=np.array([1, 0, 2]), tail=np.array([1, 0, 0]))
    mask = kept_mask(np.array([0, 4, 4, 7]), kept)
    assert mask.tolist() == [True, False, False, True, True, True, False]
