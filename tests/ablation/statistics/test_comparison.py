from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bertx.ablation.statistics.comparison import compare, summarise, verdict
from bertx.ablation.statistics.mcnemar import mcnemar_mid_p
from bertx.ablation.statistics.measurements import Measurement
from bertx.ablation.statistics.permutation import sign_flip_test


def correct(num_seeds, num_instances, share, seed=0):
    right = np.random.default_rng(seed).random((num_seeds, num_instances)) < share
    return Measurement.of_mean(right.astype(np.float64))


def generator():
    return np.random.default_rng(0)


def test_a_summary_has_the_mean_and_deviation_of_runs():
    summary = summarise(Measurement(np.array([0.8, 0.82, 0.9])))
    assert summary.mean == pytest.approx(0.84)
    assert summary.standard_deviation == pytest.approx(0.052915, abs=1e-6)
    assert summary.estimate.covers == "seeds"


def test_a_summary_of_one_run_has_no_deviation():
    summary = summarise(correct(1, 100, 0.9))
    assert summary.standard_deviation is None
    assert summary.estimate.covers == "instances"


def test_an_interval_of_accuracy_stays_within_its_bounds():
    assert summarise(correct(3, 40, 1.0)).estimate.interval().high == 1.0


def test_several_seeds_are_compared_over_seeds_and_instances():
    comparison = compare(correct(4, 300, 0.9), correct(4, 300, 0.7, seed=1), generator())
    assert comparison.test == "t over seeds and instances"
    assert comparison.p_value == comparison.difference.p_value
    assert comparison.difference.covers == "seeds and instances"
    assert comparison.probability_of_improvement == 1.0


def test_scores_alone_are_compared_by_the_paired_t_test():
    one, two = np.array([0.8, 0.83, 0.79, 0.85]), np.array([0.78, 0.8, 0.8, 0.81])
    comparison = compare(Measurement(one), Measurement(two), generator())
    assert comparison.p_value == pytest.approx(stats.ttest_rel(one, two).pvalue, rel=1e-9)
    assert (comparison.test, comparison.permutation_p_value) == ("t over seeds", None)


def test_one_seed_of_correctness_is_compared_by_mcnemar():
    one, two = correct(1, 200, 0.9), correct(1, 200, 0.8, seed=1)
    wins, losses = int((one.values > two.values).sum()), int((one.values < two.values).sum())
    comparison = compare(one, two, generator())
    assert (comparison.test, comparison.p_value) == ("McNemar", mcnemar_mid_p(wins, losses))
    assert comparison.cohens_d is None


def test_one_seed_of_losses_is_compared_by_permutation():
    losses = np.random.default_rng(3).exponential(size=(2, 1, 100))
    one, two = (Measurement.of_mean(table) for table in losses)
    comparison = compare(one, two, generator())
    expected = sign_flip_test((one.values - two.values)[0], generator())
    assert (comparison.test, comparison.p_value) == ("permutation", expected)


def test_one_score_each_cannot_be_compared():
    comparison = compare(Measurement(np.array([0.9])), Measurement(np.array([0.8])), generator())
    assert (comparison.test, comparison.p_value) == ("none", None)
    assert comparison.difference.value == pytest.approx(0.1)


def test_exchanging_the_two_turns_the_sign_only():
    one, two = correct(3, 300, 0.9), correct(3, 300, 0.85, seed=1)
    there, back = compare(one, two, generator()), compare(two, one, generator())
    assert back.difference.value == -there.difference.value
    assert back.p_value == pytest.approx(there.p_value, rel=1e-12)


def test_variants_on_other_seeds_or_instances_are_refused():
    with pytest.raises(ValueError, match="3 and 2 scores; expected one pair per seed"):
        compare(correct(3, 10, 0.5), correct(2, 10, 0.5), generator())
    with pytest.raises(ValueError, match=r"shapes \(3, 10\) and \(3, 11\); expected the same seeds"):
        compare(correct(3, 10, 0.5), correct(3, 11, 0.5), generator())


@pytest.mark.parametrize(
    ("difference", "p_value", "higher_is_better", "words"),
    [
        (0.1, 0.01, True, "better"),
        (-0.1, 0.01, True, "worse"),
        (-0.1, 0.01, False, "better"),
        (0.1, 0.01, False, "worse"),
        (0.1, 0.05, True, "no difference shown"),
        (0.1, None, True, "no difference shown"),
        (0.0, 0.0, True, "no difference shown"),
    ],
)
def test_a_verdict_says_what_is_shown(difference, p_value, higher_is_better, words):
    assert verdict(difference, p_value, higher_is_better=higher_is_better) == words
