from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bertx.ablation.statistics.mcnemar import mcnemar_exact, mcnemar_mid_p

COUNTS = st.integers(0, 300)


@given(COUNTS, COUNTS)
def test_the_exact_test_is_a_binomial_test_of_the_discordant_pairs(wins, losses):
    total = wins + losses
    expected = stats.binomtest(wins, total).pvalue if total else 1.0
    assert mcnemar_exact(wins, losses) == pytest.approx(expected, abs=1e-9)


@given(COUNTS, COUNTS)
def test_mid_p_counts_equally_extreme_outcomes_half(wins, losses):
    total = max(wins + losses, 1)
    outcomes, distance = np.arange(total + 1), abs(wins - losses)
    chances, distances = stats.binom.pmf(outcomes, total, 0.5), abs(2 * outcomes - total)
    expected = chances[distances > distance].sum() + chances[distances == distance].sum() / 2
    assert mcnemar_mid_p(wins, losses) == pytest.approx(expected if wins + losses else 1.0, abs=1e-9)


def test_mid_p_of_a_published_example():
    # Fagerland, Lydersen & Laake 2013, table 1: airway hyper-responsiveness before and after transplantation.
    assert mcnemar_exact(1, 7) == pytest.approx(0.0703125)
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.0390625)


def test_many_discordant_pairs_are_counted_without_overflow():
    assert mcnemar_exact(9_700, 10_300) == pytest.approx(stats.binomtest(9_700, 20_000).pvalue, abs=1e-12)


def test_no_discordant_pair_shows_nothing():
    assert mcnemar_exact(0, 0) == mcnemar_mid_p(0, 0) == 1.0
