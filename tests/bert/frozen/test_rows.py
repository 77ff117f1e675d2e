import torch
from hypothesis import given
from hypothesis import strategies as st

from bertx.bert.frozen.rows import at_least, followed_by_zeros, hidden_states_of, rows_of, whole_rows


@given(st.integers(1, 5000))
def test_whole_rows_are_enough_and_hardly_more(rows):
    assert rows <= whole_rows(rows) < rows + (32 if rows <= 256 else 256)


def test_products_of_all_sizes_have_few_numbers_of_rows():
    assert len({whole_rows(rows) for rows in range(1, 4097)}) == 8 + 15  # to 256 by 32, from there by 256


def test_rows_are_followed_by_zeros():
    copy = followed_by_zeros(torch.arange(12.0).view(2, 3, 2), 8, torch.bfloat16)
    assert (copy.shape, copy.dtype) == ((8, 2), torch.bfloat16)
    assert copy.flatten().tolist() == [*range(12), 0, 0, 0, 0]


def test_rows_are_only_copied_if_there_are_too_few():
    rows = torch.ones(3, 2)
    assert at_least(rows, 3) is rows
    assert at_least(rows, 4).tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]


def test_hidden_states_carry_their_rows_and_zeros_below():
    rows = torch.ones(32, 4)
    hidden_states = hidden_states_of(rows, 2, 5)
    assert (hidden_states.shape, rows_of(hidden_states, torch.float32) is rows) == ((2, 5, 4), True)
    assert rows.sum() == hidden_states.sum() == 40


def test_hidden_states_without_rows_or_of_another_type_are_copied():
    hidden_states = hidden_states_of(torch.ones(32, 4), 2, 5)
    for states in (torch.ones(2, 5, 4), hidden_states + 0, hidden_states):
        rows = rows_of(states, torch.bfloat16)
        assert (rows.shape, rows.dtype, float(rows.float().sum())) == ((32, 4), torch.bfloat16, 40)
