from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from bertx.ablation.statistics.bootstrap import bca_interval, bootstrap_interval, bootstrap_scores
from bertx.ablation.statistics.estimates import Interval
from bertx.ablation.statistics.measurements import (
    Measurement,
    Sums,
    class_counts,
    f1_of_label,
    macro_f1,
    paired_difference,
)


def generator():
    return np.random.default_rng(0)


def test_samples_score_what_the_drawn_instances_score():
    gold, predictions = np.arange(30) % 3, np.random.default_rng(0).integers(0, 3, (2, 30))
    sums = Sums(class_counts(gold, predictions, 3), macro_f1)
    scores = bootstrap_scores(sums, np.random.default_rng(1), num_draws=5)
    drawn = np.random.default_rng(1).integers(0, 30, size=(5, 30))
    expected = [[f1_score(gold[d], row[d], average="macro") for row in predictions] for d in drawn]
    assert scores == pytest.approx(np.array(expected), abs=1e-12)


def test_the_interval_of_a_mean_is_close_to_scipys():
    values = np.random.default_rng(2).exponential(size=(1, 400))
    interval = bootstrap_interval(Measurement.of_mean(values), generator(), num_draws=8000)
    oracle = stats.bootstrap(
        (values[0],), np.mean, n_resamples=8000, rng=np.random.default_rng(1), method="BCa"
    )
    expected = oracle.confidence_interval
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_a_bca_interval_of_given_samples_equals_scipys():
    sample = np.random.default_rng(3).exponential(size=50)
    known = stats.bootstrap((sample,), np.mean, n_resamples=3000, rng=np.random.default_rng(4), method="BCa")
    expected = known.confidence_interval
    interval = bca_interval(known.bootstrap_distribution, float(sample.mean()), sample, level=0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_seeds_do_not_widen_an_interval_of_these_trained_models():
    values = np.random.default_rng(0).normal(size=(1, 300)) + np.array([[-5.0], [5.0]])
    interval = bootstrap_interval(Measurement.of_mean(values), generator())
    assert interval.high - interval.low == pytest.approx(4 * values.std(axis=1)[0] / 300**0.5, rel=0.1)


def test_samples_that_are_all_equal_give_a_point():
    assert bootstrap_interval(Measurement.of_mean(np.ones((2, 30))), generator()) == Interval(1.0, 1.0)


def test_scores_alone_say_nothing_of_other_instances():
    assert bootstrap_interval(Measurement(np.array([0.9, 0.8])), generator()) is None


def test_the_interval_of_a_difference_draws_the_same_instances_for_both():
    gold = np.arange(200) % 2
    predictions = np.where(np.arange(200) % 5 == 0, 1 - gold, gold)[None]
    measured = Measurement.of_sums(class_counts(gold, predictions, 2), f1_of_label(1))
    paired = paired_difference(measured, measured)
    assert bootstrap_interval(paired, generator(), num_draws=50) == Interval(0.0, 0.0)


def test_the_interval_of_a_difference_of_f1_lies_about_it():
    gold, drawn = np.arange(400) % 2, np.random.default_rng(5)
    one, two = (
        Measurement.of_sums(
            class_counts(gold, np.where(drawn.random((1, 400)) < p, gold, 1 - gold), 2), macro_f1
        )
        for p in (0.9, 0.7)
    )
    interval = bootstrap_interval(paired_difference(one, two), generator())
    difference = float(one.scores[0] - two.scores[0])
    assert interval.low == pytest.approx(difference - 0.054, abs=0.01)
    assert interval.high == pytest.approx(difference + 0.054, abs=0.01)
