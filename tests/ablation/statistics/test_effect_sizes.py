from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bertx.ablation.statistics.effect_sizes import cohens_d, probability_of_improvement


def test_cohens_d_is_the_paired_t_value_over_the_root_of_the_number_of_pairs():
    one, two = np.array([0.8, 0.83, 0.79, 0.85]), np.array([0.78, 0.8, 0.8, 0.81])
    expected = stats.ttest_rel(one, two).statistic / 2
    assert cohens_d(one - two) == pytest.approx(expected, rel=1e-12)


def test_cohens_d_of_one_seed_or_of_equal_differences_is_undefined():
    assert cohens_d(np.array([0.1])) is None
    assert cohens_d(np.array([0.80, 0.90]) - np.array([0.78, 0.88])) is None


def test_a_tie_improves_half():
    assert probability_of_improvement(np.array([0.1, 0.2, -0.1, 0.0])) == 0.625
