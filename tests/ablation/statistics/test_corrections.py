from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.ablation.statistics.corrections import holm


def by_closed_testing(p_values):
    """Adjusts by the definition: every set of hypotheses that holds one must be rejected by Bonferroni."""
    indices = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in combinations(indices, size)]
    bonferroni = {chosen: min(1.0, len(chosen) * min(p_values[i] for i in chosen)) for chosen in sets}
    return [max(p for chosen, p in bonferroni.items() if i in chosen) for i in indices]


@given(st.lists(st.floats(0, 1), max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    assert holm(p_values) == pytest.approx(by_closed_testing(p_values), abs=1e-12)


def test_holm_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_comparison_is_not_corrected():
    assert holm([0.03]) == [0.03]


def test_no_comparison_gives_no_p_value():
    assert holm([]) == []
