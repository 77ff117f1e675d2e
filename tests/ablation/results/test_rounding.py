import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.ablation.results.rounding import decimals_for, rounded, rounded_p


@pytest.mark.parametrize(
    ("half_widths", "decimals"),
    [
        ([0.021], 3),
        ([0.21], 2),
        ([2.1], 1),
        ([35.0], 0),
        ([0.0], 3),
        ([], 3),
        ([1e-12], 6),
        ([0.9, 0.09, 0.0], 2),
    ],
)
def test_an_interval_leaves_two_digits_of_its_half_width(half_widths, decimals):
    assert decimals_for(half_widths) == decimals


@pytest.mark.parametrize(
    ("value", "decimals", "sign", "text"),
    [
        (0.12345, 3, False, "0.123"),
        (0.12345, 3, True, "+0.123"),
        (-0.0001, 2, False, "0.00"),
        (-0.0001, 2, True, "+0.00"),
        (-0.5, 1, True, "-0.5"),
        (12345.6, 0, False, "12,346"),
        (float("nan"), 2, False, "not finite"),
    ],
)
def test_numbers_are_rounded(value, decimals, sign, text):
    assert rounded(value, decimals, sign=sign) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_rounding_moves_a_number_by_at_most_half_of_the_last_digit(value, decimals):
    shown = float(rounded(value, decimals).replace(",", ""))
    assert abs(shown - value) <= 0.5 * 10.0**-decimals * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(None, "-"), (0.0, "< 0.001"), (0.0123, "0.012"), (0.0496, "0.050"), (0.5, "0.50"), (1.0, "1.00")],
)
def test_p_values_have_two_digits(p_value, text):
    assert rounded_p(p_value) == text
