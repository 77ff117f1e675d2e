"""What is measured of one variant: a score per seed, and what each test instance gives to it.

Shapes: seeds, instances (the same ones in every seed), terms (what a metric's sums are made of).
With cross-validation the instances of all folds stand side by side, so that each occurs once in every seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
SumMetric: TypeAlias = Callable[[Floats], Floats]
"""A metric computed from sums over instances: (..., terms) to (...), without loops over the first axes."""


@dataclass(frozen=True)
class Sums:
    """Holds what a metric is computed from that is no mean over instances.

    Args:
        terms: (seeds, instances, terms), for example from `class_counts`.
        metric: Computes the metric from their sums over instances, for example `macro_f1`.
    """

    terms: Floats
    metric: SumMetric


@dataclass(frozen=True)
class Measurement:
    """Holds one metric of one variant.

    Args:
        scores: The metric of each seed, (seeds,).
        values: (seeds, instances); `values[s].mean()` is, or estimates, `scores[s]`. None if the metric is
            known per run only: then nothing is said about other test instances.
        sums: What the values were derived from, to recompute the metric for other instances; None for a
            mean.

    Raises:
        ValueError: The shapes do not fit, there is nothing, or a number is not finite.
    """

    scores: Floats
    values: Floats | None = None
    sums: Sums | None = None

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or not len(self.scores):
            raise ValueError(
                f"scores have shape {self.scores.shape}; expected (seeds,) with at least one seed"
            )
        if not np.isfinite(self.scores).all():
            raise ValueError("a score is not a finite number; leave failed runs out")
        if self.values is None:
            return
        if self.values.ndim != 2 or len(self.values) != len(self.scores) or not self.values.shape[1]:
            raise ValueError(
                f"values have shape {self.values.shape}; expected ({len(self.scores)}, instances)"
            )
        if not np.isfinite(self.values).all():
            raise ValueError("a value is not a finite number; leave failed runs out")

    @classmethod
    def of_mean(cls, values: Floats) -> Measurement:
        """Measures a metric that is a mean over instances: accuracy from 0s and 1s, or a loss.

        Args:
            values: (seeds, instances).
        """
        return cls(values.mean(axis=1), values)

    @classmethod
    def of_sums(cls, terms: Floats, metric: SumMetric) -> Measurement:
        """Measures a metric such as F1 that is computed from sums over instances.

        Args:
            terms: See `Sums`.
            metric: See `Sums`.
        """
        return cls(metric(terms.sum(axis=1)), pseudovalues(terms, metric), Sums(terms, metric))

    @property
    def is_binary(self) -> bool:
        """Whether every value is 0 or 1, as of accuracy."""
        return self.values is not None and bool(np.isin(self.values, (0.0, 1.0)).all())


def paired_difference(variant: Measurement, base: Measurement) -> Measurement:
    """Measures the difference of two variants on the same seeds and instances.

    Raises:
        ValueError: The two differ in seeds or instances.
    """
    if variant.scores.shape != base.scores.shape:
        raise ValueError(f"{len(variant.scores)} and {len(base.scores)} scores; expected one pair per seed")
    scores = variant.scores - base.scores
    if variant.values is None or base.values is None:
        return Measurement(scores)
    if variant.values.shape != base.values.shape:
        shapes = f"{variant.values.shape} and {base.values.shape}"
        raise ValueError(f"values of shapes {shapes}; expected the same seeds and instances")
    values = variant.values - base.values
    if variant.sums is None or base.sums is None:
        return Measurement(scores, values)
    metric = variant.sums.metric

    def difference(totals: Floats) -> Floats:
        first, second = np.split(totals, 2, axis=-1)
        return metric(first) - metric(second)

    terms = np.concatenate([variant.sums.terms, base.sums.terms], axis=-1)
    return Measurement(scores, values, Sums(terms, difference))


def pseudovalues(terms: Floats, metric: SumMetric) -> Floats:
    """Computes how far the metric moves if an instance is left out, on the scale of a single instance.

    Their means and variances behave as those of a mean over instances do, so that every method for means
    serves such a metric too; where the metric is a mean they are the values themselves.

    Source: Tukey 1958; for runs crossed with instances Dorfman, Berbaum & Metz 1992.

    Args:
        terms: (seeds, instances, terms).
        metric: The metric of sums of terms.

    Returns:
        (seeds, instances).
    """
    num_instances = terms.shape[1]
    totals = terms.sum(axis=1, keepdims=True)  # (seeds, 1, terms)
    left_out = metric(totals - terms)  # (seeds, instances)
    return np.asarray(num_instances * metric(totals) - (num_instances - 1) * left_out)


def class_counts(gold: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64], num_labels: int) -> Floats:
    """Counts per instance which label occurs, which is predicted, and which is hit.

    Args:
        gold: Label ids, (instances,); -1 for a gold label that the models do not know.
        predictions: Label ids, (seeds, instances).
        num_labels: How many labels there are.

    Returns:
        (seeds, instances, 3 * num_labels): 0s and 1s; occurrences, then predictions, then hits.
    """
    labels = np.arange(num_labels)
    occurs = np.broadcast_to(gold[:, None] == labels, (*predictions.shape, num_labels))
    predicted = predictions[..., None] == labels
    return np.concatenate([occurs, predicted, occurs & predicted], axis=-1).astype(np.float64)


def macro_f1(counts: Floats) -> Floats:
    """Averages F1 over the labels that occur or are predicted.

    Source: van Rijsbergen 1979, Information Retrieval, chapter 7; the same labels as `bertx.metrics.FBeta`.

    Args:
        counts: Sums of `class_counts`, (..., 3 * num_labels).
    """
    f1, counted = _f1(counts)
    return np.asarray((f1 * counted).sum(axis=-1) / np.maximum(counted.sum(axis=-1), 1))


def f1_of_label(label: int) -> SumMetric:
    """Makes the metric that is the F1 of one label; 0 where it neither occurs nor is predicted."""

    def metric(counts: Floats) -> Floats:
        return np.asarray(_f1(counts)[0][..., label])

    return metric


def matthews_correlation(counts: Floats) -> Floats:
    """Computes Matthews' correlation of any number of labels; 0 where it is undefined.

    Source: Gorodkin 2004, as `bertx.metrics.MatthewsCorrelation`.

    Args:
        counts: Sums of `class_counts`, (..., 3 * num_labels).
    """
    occurring, predicted, hits = np.split(counts, 3, axis=-1)
    total = predicted.sum(axis=-1)
    unknown = total - occurring.sum(axis=-1)
    covariance = hits.sum(axis=-1) * total - (predicted * occurring).sum(axis=-1)
    spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (occurring**2).sum(axis=-1) - unknown**2)
    return np.asarray(np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0))


def _f1(counts: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    occurring, predicted, hits = np.split(counts, 3, axis=-1)
    # Leaving one instance out takes exact whole numbers from whole numbers, so that 0 is 0.
    counted = occurring + predicted > 0
    return 2 * hits / np.where(counted, occurring + predicted, 1.0), counted
