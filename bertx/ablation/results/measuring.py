"""One metric of one variant as an array: which instances gave how much to it, in which seed.

Runs report a metric as one number by a name of the user's. What single instances give to it is computed from
the predictions, in the ways listed here, and believed only if it gives the very numbers that the runs report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bertx.ablation.results.evidence import Key, RunEvidence
from bertx.ablation.statistics.measurements import (
    Floats,
    Measurement,
    class_counts,
    macro_f1,
    matthews_correlation,
)

Integers: TypeAlias = npt.NDArray[np.int64]
SeedRuns: TypeAlias = dict[int, list[RunEvidence]]
"""By seed the runs of all its folds; a single one without cross-validation."""


@dataclass(frozen=True)
class Answers:
    """The predictions of several seeds, side by side.

    Attributes:
        keys: Names the instances, the folds one after the other.
        gold: Label numbers, (instances,); -1: a label that is never predicted, or none.
        predicted: Label numbers, (seeds, instances).
        losses: (seeds, instances); None where they are unknown.
        labels: The names of the labels, sorted.
    """

    keys: list[Key]
    gold: Integers
    predicted: Integers
    losses: Floats | None
    labels: list[str]

    @property
    def counts(self) -> Floats:
        """What `class_counts` makes of it."""
        return class_counts(self.gold, self.predicted, len(self.labels))


def _of_accuracy(answers: Answers) -> Measurement:
    return Measurement.of_mean((answers.predicted == answers.gold).astype(np.float64))


def _of_loss(answers: Answers) -> Measurement | None:
    return None if answers.losses is None else Measurement.of_mean(answers.losses)


def _of_macro_f1(answers: Answers) -> Measurement:
    return Measurement.of_sums(answers.counts, macro_f1)


def _of_matthews_correlation(answers: Answers) -> Measurement:
    return Measurement.of_sums(answers.counts, matthews_correlation)


Reading: TypeAlias = Callable[[Answers], "Measurement | None"]
READINGS: dict[Reading, float] = {  # by how much they may miss: losses are sums of float32 numbers
    _of_accuracy: 1e-9,
    _of_loss: 1e-4,
    _of_macro_f1: 1e-6,
    _of_matthews_correlation: 1e-6,
}


def answers_of(seeds: Sequence[Sequence[RunEvidence]], labels: Sequence[str]) -> Answers | None:
    """Puts the predictions of several seeds side by side.

    Args:
        seeds: For each seed the runs of its folds.
        labels: The names of all labels, which are numbered in this order.

    Returns:
        None if a run has no predictions, or they are not of the same instances.
    """
    found = [[run.predictions for run in folds if run.predictions is not None] for folds in seeds]
    if not seeds or any(len(some) != len(folds) for some, folds in zip(found, seeds, strict=True)):
        return None
    keys = [[key for run in folds for key in run.keys] for folds in seeds]
    gold = [[label for one in some for label in one.gold] for some in found]
    if not keys[0] or any(other != keys[0] for other in keys) or any(other != gold[0] for other in gold):
        return None
    number = {label: index for index, label in enumerate(labels)}
    predicted = [[number[label] for one in some for label in one.predicted] for some in found]
    losses = [[loss for one in some for loss in one.losses] for some in found]
    known = all(len(row) == len(keys[0]) and None not in row for row in losses)
    return Answers(
        keys[0],
        np.array([-1 if label is None else number.get(label, -1) for label in gold[0]], dtype=np.int64),
        np.array(predicted, dtype=np.int64),
        np.array(losses, dtype=np.float64) if known else None,
        list(labels),
    )


def find_reading(runs: Sequence[RunEvidence], metric: str, labels: Sequence[str]) -> Reading | None:
    """Finds how a metric comes from single instances: in the way that gives what every run reports.

    Args:
        runs: All finished runs of the study.
        metric: Its name.
        labels: The names of all labels.

    Returns:
        None if there is none, or a run has no predictions: then the metric is known per run only.
    """
    reported = [(run, run.outcome.metrics[metric]) for run in runs if has(run, metric)]
    singles = [(answers_of([[run]], labels), value) for run, value in reported]
    for reading, tolerance in READINGS.items():
        if singles and all(_reproduces(reading, single, value, tolerance) for single, value in singles):
            return reading
    return None


def _reproduces(reading: Reading, single: Answers | None, value: float, tolerance: float) -> bool:
    measured = None if single is None else reading(single)
    return measured is not None and math.isclose(
        float(measured.scores[0]), value, rel_tol=tolerance, abs_tol=tolerance
    )


def has(run: RunEvidence, metric: str) -> bool:
    """Tells whether a run reports a metric, as a finite number."""
    return math.isfinite(run.outcome.metrics.get(metric, math.nan))


def measure(
    seeds: Sequence[Sequence[RunEvidence]], metric: str, reading: Reading | None, labels: Sequence[str]
) -> Measurement:
    """Measures a metric of one variant.

    Args:
        seeds: For each seed, one or more, the runs of its folds; all report the metric.
        metric: Its name.
        reading: How it comes from single instances; None: the score of a seed is the mean of its folds.
        labels: The names of all labels.
    """
    if reading is not None:
        answers = answers_of(seeds, labels)
        found = None if answers is None else reading(answers)
        if found is not None:
            return found
    means = [np.mean([run.outcome.metrics[metric] for run in folds]) for folds in seeds]
    return Measurement(np.array(means, dtype=np.float64))
