"""Resampling of test instances, with the metric recomputed for every sample.

It speaks of these trained models on other instances. For seeds it is no good: see `Estimate.interval`.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from bertx.ablation.statistics.estimates import Interval
from bertx.ablation.statistics.measurements import Floats, Measurement, Sums

CHUNK = 64  # samples at a time, which stay in the processor's cache


def bootstrap_interval(
    measured: Measurement, generator: np.random.Generator, *, level: float = 0.95, num_draws: int = 2000
) -> Interval | None:
    """Computes the interval of the mean over these seeds for other test instances, bias-corrected.

    Source: Efron 1987, Better bootstrap confidence intervals (BCa); the acceleration by the jackknife.

    Args:
        measured: Of a variant, or of `paired_difference`.
        generator: Draws the samples.
        level: Share of studies in which the interval is to cover.
        num_draws: How many samples.

    Returns:
        None where values per instance are unknown.
    """
    if measured.values is None:
        return None
    by_instance = measured.values.mean(axis=0)
    if measured.sums is None:
        of_mean = Sums(
            by_instance[None, :, None], lambda totals: np.asarray(totals[..., 0] / len(by_instance))
        )
        replicates = bootstrap_scores(of_mean, generator, num_draws=num_draws)[:, 0]
    else:
        replicates = bootstrap_scores(measured.sums, generator, num_draws=num_draws).mean(axis=1)
    return bca_interval(replicates, float(measured.scores.mean()), by_instance, level=level)


def bootstrap_scores(sums: Sums, generator: np.random.Generator, *, num_draws: int = 2000) -> Floats:
    """Computes the metric on samples of the instances drawn with replacement, the same ones for every seed.

    Source: Efron 1979, Bootstrap methods: another look at the jackknife.

    Args:
        sums: The metric, and what it is computed from.
        generator: Draws the samples.
        num_draws: How many samples.

    Returns:
        (num_draws, seeds).
    """
    num_seeds, num_instances, num_terms = sums.terms.shape
    flat = sums.terms.transpose(1, 0, 2).reshape(num_instances, num_seeds * num_terms)
    scores = []
    for start in range(0, num_draws, CHUNK):
        rows = min(CHUNK, num_draws - start)
        drawn = generator.integers(0, num_instances, size=(rows, num_instances))
        drawn += np.arange(rows)[:, None] * num_instances
        # How often each instance is in each sample: sums are then one matrix product.
        weights = np.bincount(drawn.ravel(), minlength=rows * num_instances).reshape(rows, num_instances)
        totals = (weights.astype(np.float64) @ flat).reshape(rows, num_seeds, num_terms)
        scores.append(sums.metric(totals))
    return np.concatenate(scores)


def bca_interval(replicates: Floats, estimate: float, influences: Floats, *, level: float) -> Interval:
    """Turns bootstrap replicates into a bias-corrected and accelerated interval.

    Source: Efron 1987, as `scipy.stats.bootstrap` computes it.

    Args:
        replicates: (draws,).
        estimate: The metric of the sample itself.
        influences: Pseudovalues of the jackknife, (instances,).
        level: Of the interval.
    """
    below = float((replicates < estimate).mean() + (replicates <= estimate).mean()) / 2
    influence = influences - influences.mean()
    spread = float((influence**2).sum())
    if not 0 < below < 1 or spread == 0:  # all replicates on one side: nothing to correct by
        return Interval(float(replicates.min()), float(replicates.max()))
    acceleration = float((influence**3).sum()) / (6 * spread**1.5)
    normal = NormalDist()
    bias = normal.inv_cdf(below)
    ends = []
    for probability in ((1 - level) / 2, (1 + level) / 2):
        shifted = bias + normal.inv_cdf(probability)
        ends.append(normal.cdf(bias + shifted / (1 - acceleration * shifted)))
    low, high = np.quantile(replicates, ends)
    return Interval(float(low), float(high))
