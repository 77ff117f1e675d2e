from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, matthews_corrcoef

from bertx.ablation.statistics.measurements import (
    Measurement,
    class_counts,
    f1_of_label,
    macro_f1,
    matthews_correlation,
    pseudovalues,
)


@pytest.fixture
def labelled():
    generator = np.random.default_rng(3)
    gold = generator.integers(0, 4, 60)
    guesses = generator.integers(0, 4, (5, 60))
    return gold, np.where(generator.random((5, 60)) < 0.6, gold, guesses)


def test_macro_f1_equals_scikit_learn(labelled):
    gold, predictions = labelled
    expected = [f1_score(gold, row, average="macro") for row in predictions]
    assert macro_f1(class_counts(gold, predictions, 4).sum(axis=1)) == pytest.approx(expected, abs=1e-12)


def test_macro_f1_leaves_out_labels_that_neither_occur_nor_are_predicted(labelled):
    gold, predictions = labelled
    with_more = class_counts(gold, predictions, 9).sum(axis=1)
    expected = [f1_score(gold, row, average="macro") for row in predictions]
    assert macro_f1(with_more) == pytest.approx(expected, abs=1e-12)


def test_f1_of_a_label_equals_scikit_learn(labelled):
    gold, predictions = labelled
    expected = [f1_score(gold, row, labels=[2], average="macro") for row in predictions]
    counts = class_counts(gold, predictions, 4).sum(axis=1)
    assert f1_of_label(2)(counts) == pytest.approx(expected, abs=1e-12)


def test_matthews_correlation_equals_scikit_learn(labelled):
    gold, predictions = labelled
    expected = [matthews_corrcoef(gold, row) for row in predictions]
    assert matthews_correlation(class_counts(gold, predictions, 4).sum(axis=1)) == pytest.approx(expected)


def test_matthews_correlation_of_one_predicted_class_is_zero():
    counts = class_counts(np.array([0, 1, 1]), np.array([[1, 1, 1]]), 2).sum(axis=1)
    assert matthews_correlation(counts).tolist() == [0.0]


def test_matthews_correlation_counts_unknown_gold_labels_as_a_label_of_their_own():
    gold, predictions = np.array([0, 1, 1, -1, 0]), np.array([[0, 1, 0, 1, 0]])
    expected = matthews_corrcoef(np.where(gold < 0, 2, gold), predictions[0])
    assert matthews_correlation(class_counts(gold, predictions, 2).sum(axis=1)) == pytest.approx([expected])


def test_pseudovalues_are_what_leaving_one_out_gives(labelled):
    gold, predictions = labelled
    values = pseudovalues(class_counts(gold, predictions, 4), macro_f1)
    whole = f1_score(gold, predictions[1], average="macro")
    left_out = f1_score(np.delete(gold, 7), np.delete(predictions[1], 7), average="macro")
    assert values[1, 7] == pytest.approx(60 * whole - 59 * left_out, abs=1e-11)


def test_pseudovalues_of_a_mean_are_the_values(labelled):
    gold, predictions = labelled
    right = (gold == predictions).astype(np.float64)
    values = pseudovalues(
        np.stack([right, np.ones_like(right)], -1), lambda sums: sums[..., 0] / sums[..., 1]
    )
    assert values == pytest.approx(right, abs=1e-11)


def test_a_measurement_of_sums_scores_each_seed(labelled):
    gold, predictions = labelled
    measured = Measurement.of_sums(class_counts(gold, predictions, 4), macro_f1)
    assert measured.scores[3] == pytest.approx(f1_score(gold, predictions[3], average="macro"))
    assert measured.values.shape == (5, 60)


def test_only_zeros_and_ones_are_binary():
    assert Measurement.of_mean(np.array([[0.0, 1.0], [1.0, 1.0]])).is_binary
    assert not Measurement.of_mean(np.array([[0.0, 0.5]])).is_binary
    assert not Measurement(np.array([1.0])).is_binary


@pytest.mark.parametrize(
    ("scores", "values", "complaint"),
    [
        ([], None, r"scores have shape \(0,\); expected \(seeds,\)"),
        ([0.5, float("nan")], None, "a score is not a finite number; leave failed runs out"),
        ([0.5, 0.5], [[1.0, 0.0]], r"values have shape \(1, 2\); expected \(2, instances\)"),
        ([0.5], [[float("inf")]], "a value is not a finite number"),
    ],
)
def test_what_is_no_measurement_is_refused(scores, values, complaint):
    with pytest.raises(ValueError, match=complaint):
        Measurement(np.array(scores, dtype=float), None if values is None else np.array(values))
