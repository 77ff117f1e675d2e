from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bertx.ablation.statistics.estimates import Estimate, estimate_mean
from bertx.ablation.statistics.sample_size import power_of, seeds_needed


def of_seeds(deviation, num_seeds=5, instance_variance=None, num_instances=None):
    return Estimate(0.0, 0.0, deviation**2 / num_seeds, instance_variance, num_seeds, num_instances)


def oracle_power(effect, num_seeds):
    critical = stats.t.isf(0.025, num_seeds - 1)
    other = stats.nct(num_seeds - 1, effect * np.sqrt(num_seeds))
    return other.sf(critical) + other.cdf(-critical)


@pytest.mark.parametrize("effect", [0.3, 0.5, 0.8, 1.5, 3.0])
def test_the_number_of_seeds_is_the_least_that_has_the_power(effect):
    needed = seeds_needed(of_seeds(0.01), 0.01 * effect)
    assert oracle_power(effect, needed) >= 0.8 > oracle_power(effect, needed - 1)


def test_a_medium_effect_needs_34_pairs_as_in_cohens_tables():
    assert seeds_needed(of_seeds(2.0), 1.0) == 34


def test_the_sign_of_the_difference_does_not_matter():
    assert seeds_needed(of_seeds(0.01), -0.01) == seeds_needed(of_seeds(0.01), 0.01) == 10


def test_a_small_test_set_needs_more_seeds():
    assert seeds_needed(of_seeds(0.01, 5, 0.002**2, 5000), 0.01) > seeds_needed(of_seeds(0.01), 0.01)


def test_no_number_of_seeds_makes_up_for_a_test_set_that_is_too_small():
    assert seeds_needed(of_seeds(0.01, 5, 0.02**2, 100), 0.01) is None


def test_one_seed_tells_no_number():
    assert seeds_needed(estimate_mean(np.array([0.1])), 0.01) is None
    assert seeds_needed(of_seeds(0.01), 0.0) is None


def test_differences_that_never_vary_need_two_seeds():
    assert seeds_needed(of_seeds(0.0), 0.01) == 2


def test_power_is_how_often_a_simulated_difference_is_found():
    draws = np.random.default_rng(0).normal(1.0, 1.0, (3000, 6))
    found = np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05)
    planned = Estimate(1.0, 1.0, 1 / 6, None, 6, None)
    assert power_of(planned) == pytest.approx(found, abs=0.02)
