"""Do intervals cover, are p-values uniform, if a study is repeated with other seeds and other instances?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bertx.ablation.statistics.bootstrap import bootstrap_interval
from bertx.ablation.statistics.estimates import (
    estimate_accuracy,
    estimate_accuracy_difference,
    estimate_mean,
)
from bertx.ablation.statistics.measurements import Measurement, class_counts, f1_of_label
from bertx.ablation.statistics.permutation import sign_flip_test
from tests.ablation.statistics.simulated_studies import correctness, covers, detections, losses

SEEDS = [3, 5, 10]
SHARES = {  # standard deviations of seeds, instances, and the rest: what dominates the mean of 3 to 10 x 200
    "seeds": {"sd": (0.3, 1.0, 1.0)},
    "both": {"sd": (0.1, 1.0, 1.0)},
    "instances": {"sd": (0.02, 1.0, 0.3)},
    "skewed": {"sd": (0.1, 1.0, 1.0), "skewness": (1.0, 2.0, 2.0)},
}


def of_losses(table):
    return estimate_mean(table.mean(axis=1), table)


def in_batches(num_studies, draw):
    """Draws studies 500 at a time, which bounds the memory."""
    for _ in range(num_studies // 500):
        yield from draw(500)


def loss_studies(num_studies, num_seeds, kind):
    generator = np.random.default_rng([num_seeds, len(kind)])
    return in_batches(num_studies, lambda count: losses(generator, count, num_seeds, 200, **SHARES[kind]))


def accuracy_studies(num_studies, num_seeds, *, levels=(1.0, 0.8), skewness=0.0):
    """Gives pairs of variants' tables, and the true accuracies."""
    generator = np.random.default_rng(num_seeds)

    def draw(count):
        difficulty = generator.standard_normal((count, 500))
        drawn = [
            correctness(generator, difficulty, num_seeds, level=level, skewness=skewness) for level in levels
        ]
        (first, truth), (second, other) = drawn
        return ((one, two, truth, other) for one, two in zip(first, second, strict=True))

    return in_batches(num_studies, draw)


def covered_share(studies):
    return float(np.mean(list(studies)))


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize("num_seeds", SEEDS)
def test_intervals_of_losses_cover(num_seeds, kind):
    share = covered_share(covers(of_losses(table), 0.0) for table in loss_studies(1000, num_seeds, kind))
    assert 0.92 <= share <= 0.97


@pytest.mark.parametrize("skewness", [0.0, -1.0])
@pytest.mark.parametrize("num_seeds", SEEDS)
def test_intervals_of_accuracy_cover(num_seeds, skewness):
    studies = accuracy_studies(1000, num_seeds, skewness=skewness)
    share = covered_share(covers(estimate_accuracy(one), truth) for one, _, truth, _ in studies)
    assert 0.92 <= share <= 0.97


@pytest.mark.parametrize("num_seeds", SEEDS)
def test_intervals_of_accuracy_differences_cover(num_seeds):
    studies = accuracy_studies(1000, num_seeds)
    found = (
        covers(estimate_accuracy_difference(one - two), truth - other) for one, two, truth, other in studies
    )
    assert 0.92 <= covered_share(found) <= 0.97


def f1_studies(num_studies, num_seeds, seed_sd=0.15):
    generator = np.random.default_rng([num_seeds, 1])
    gold, predictions, truth = detections(generator, num_studies, num_seeds, 300, seed_sd=seed_sd)
    for labels, row in zip(gold, predictions, strict=True):
        yield class_counts(labels, row, 2), truth


@pytest.mark.parametrize("num_seeds", SEEDS)
def test_intervals_of_f1_cover(num_seeds):
    measured = ((Measurement.of_sums(t, f1_of_label(1)), truth) for t, truth in f1_studies(1000, num_seeds))
    share = covered_share(covers(estimate_mean(m.scores, m.values), truth) for m, truth in measured)
    assert 0.92 <= share <= 0.97


def test_bootstrap_intervals_of_f1_cover_for_one_trained_model():
    generator = np.random.default_rng(0)
    studies = ((Measurement.of_sums(t, f1_of_label(1)), truth) for t, truth in f1_studies(400, 1, seed_sd=0))
    drawn = ((bootstrap_interval(measured, generator, num_draws=500), truth) for measured, truth in studies)
    assert 0.92 <= covered_share(i.low <= truth <= i.high for i, truth in drawn) <= 0.97


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize("num_seeds", SEEDS)
def test_p_values_of_equal_losses_are_uniform(num_seeds, kind):
    p_values = [of_losses(table).p_value for table in loss_studies(1000, num_seeds, kind)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("num_seeds", SEEDS)
def test_p_values_of_equally_accurate_variants_are_uniform(num_seeds):
    studies = accuracy_studies(1000, num_seeds, levels=(1.0, 1.0))
    p_values = [estimate_accuracy_difference(one - two).p_value for one, two, _, _ in studies]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_exchanging_within_instances_alone_finds_differences_that_seeds_made():
    generator = np.random.default_rng(0)
    studies = accuracy_studies(500, 3, levels=(1.0, 1.0))
    by_instance = [(one - two).mean(axis=0) for one, two, _, _ in studies]
    p_values = [sign_flip_test(differences, generator, num_draws=199) for differences in by_instance]
    assert np.mean(np.array(p_values) < 0.05) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize("num_seeds", SEEDS)
def test_intervals_of_losses_cover_in_many_studies(num_seeds, kind):
    share = covered_share(covers(of_losses(table), 0.0) for table in loss_studies(20_000, num_seeds, kind))
    assert 0.925 <= share <= 0.965


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", SEEDS)
def test_p_values_of_many_studies_stray_little_from_uniform(num_seeds):
    for kind in SHARES:
        p_values = [of_losses(table).p_value for table in loss_studies(20_000, num_seeds, kind)]
        assert stats.kstest(p_values, "uniform").statistic < 0.035
