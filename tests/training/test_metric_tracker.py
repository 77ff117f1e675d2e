import math
import re

import pytest

from bertx.errors import ConfigError
from bertx.training.metric_tracker import MetricTracker


def best_epochs(validation_metric, values):
    """Whether each epoch was the best so far."""
    tracker = MetricTracker(validation_metric)
    return [tracker.add(epoch, {validation_metric[1:]: value}) for epoch, value in enumerate(values)]


@pytest.mark.parametrize(
    ("validation_metric", "expected"),
    [("+accuracy", [True, True, False, False, True]), ("-accuracy", [True, False, False, True, False])],
)
def test_only_a_strictly_better_value_is_the_best(validation_metric, expected):
    assert best_epochs(validation_metric, [0.5, 0.6, 0.6, 0.4, 0.7]) == expected


def test_nan_is_never_the_best():
    assert best_epochs("-loss", [math.nan, 3.0, math.nan, 2.0]) == [False, True, False, True]
    assert best_epochs("+loss", [math.nan, math.inf, math.inf]) == [False, True, False]


def test_the_best_epoch_is_remembered_with_all_its_metrics():
    tracker = MetricTracker("-loss")
    for epoch, loss in enumerate([2.0, 1.0, 3.0]):
        tracker.add(epoch, {"loss": loss, "accuracy": epoch / 10})
    assert (tracker.best_epoch, tracker.best_value) == (1, 1.0)
    assert tracker.best_metrics == {"loss": 1.0, "accuracy": 0.1}


@pytest.mark.parametrize(
    ("patience", "values", "expected"),
    [
        (1, [1.0, 1.0], [False, True]),
        (2, [1.0, 2.0, 3.0], [False, False, True]),
        (2, [1.0, 2.0, 0.5, 0.5, 0.6], [False, False, False, False, True]),
        (2, [math.nan, math.nan], [False, True]),
        (None, [1.0, 2.0, 3.0, 4.0], [False] * 4),
    ],
)
def test_patience_counts_epochs_in_a_row(patience, values, expected):
    tracker, found = MetricTracker("-loss", patience), []
    for epoch, value in enumerate(values):
        tracker.add(epoch, {"loss": value})
        found.append(tracker.out_of_patience)
    assert found == expected


@pytest.mark.parametrize("metric", ["accuracy", "", "+", "-", " +accuracy"])
def test_a_metric_needs_a_sign(metric):
    message = (
        f'trainer.validation_metric: "{metric}" has no sign; '
        'write "+accuracy" where higher is better, "-loss" where lower is'
    )
    if len(metric) == 1:
        message = f'trainer.validation_metric: "{metric}" has no name; write "+accuracy" or "-loss"'
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        MetricTracker(metric)


@pytest.mark.parametrize("patience", [0, -1])
def test_patience_must_be_positive(patience):
    message = rf"^trainer\.patience: {patience}; expected at least 1, or null to never stop early$"
    with pytest.raises(ConfigError, match=message):
        MetricTracker("-loss", patience)


def test_an_unknown_metric_lists_what_there_is():
    message = 'trainer.validation_metric: the model reports no "f1"; it reports: accuracy, loss'
    tracker = MetricTracker("+f1")
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        tracker.require({"loss": 1.0, "accuracy": 0.5})
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        tracker.add(0, {"loss": 1.0, "accuracy": 0.5})
