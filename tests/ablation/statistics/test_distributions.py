from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bertx.ablation.statistics.distributions import t_quantile, t_two_sided

FREEDOM = [1, 1.3, 2, 4.5, 9, 50, 1e3, 1e6, 1e10]


@pytest.mark.parametrize("freedom", FREEDOM)
@pytest.mark.parametrize("t", [0, 1e-3, 0.5, 1, 1.96, 5, 40])
def test_t_probabilities_equal_scipy(t, freedom):
    assert t_two_sided(-t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), abs=1e-12)


@pytest.mark.parametrize("freedom", FREEDOM)
@pytest.mark.parametrize("probability", [0.5, 0.2, 0.05, 0.001])
def test_t_quantiles_equal_scipy(probability, freedom):
    expected = stats.t.isf(probability / 2, freedom)
    assert t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 3.3, 50, 1e4])
@pytest.mark.parametrize("noncentrality", [-3, 0.5, 6])
def test_noncentral_t_probabilities_equal_scipy(noncentrality, freedom):
    other = stats.nct(freedom, noncentrality)
    expected = other.sf(2.5) + other.cdf(-2.5)
    assert t_two_sided(2.5, freedom, noncentrality) == pytest.approx(expected, abs=1e-11)


def test_infinitely_many_degrees_of_freedom_are_the_normal_distribution():
    assert t_two_sided(1.959963984540054, math.inf) == pytest.approx(0.05, abs=1e-15)
    assert t_quantile(0.05, math.inf) == pytest.approx(1.959963984540054, abs=1e-14)


@given(st.floats(0.001, 0.999), st.floats(1, 1e8))
def test_a_quantile_is_exceeded_with_its_probability(probability, freedom):
    assert t_two_sided(t_quantile(probability, freedom), freedom) == pytest.approx(probability, rel=1e-11)
