"""How many seeds a difference of a given size needs to be seen."""

from __future__ import annotations

from bertx.ablation.statistics.distributions import t_quantile, t_two_sided
from bertx.ablation.statistics.estimates import Estimate

MOST_SEEDS = 10_000


def seeds_needed(
    estimate: Estimate, difference: float, *, power: float = 0.8, level: float = 0.05
) -> int | None:
    """Finds the least number of seeds with which a true difference is probably seen.

    The differences of single seeds vary as they were observed to; the test instances stay as many as they
    are, and so does their part of the variance. Where that part alone hides the difference, no number of
    seeds helps, only a larger test set does.

    Source: Cohen 1988, chapter 2, by the noncentral t distribution instead of his tables.

    Args:
        estimate: Of the paired difference, with at least two seeds.
        difference: The true difference to see; its sign does not matter.
        power: Probability with which it is to be seen.
        level: Of the two-sided test.

    Returns:
        At least 2; None if 10,000 seeds are not enough, or the estimate is of fewer than two seeds.
    """
    if estimate.seed_variance is None or difference == 0:
        return None
    seed_variance = estimate.seed_variance * estimate.num_seeds  # of one seed's difference
    instance_variance = estimate.instance_variance or 0.0

    def enough(num_seeds: int) -> bool:
        planned = Estimate(
            value=difference,
            centre=difference,
            seed_variance=seed_variance / num_seeds,
            instance_variance=instance_variance,
            num_seeds=num_seeds,
            num_instances=estimate.num_instances,
        )
        return power_of(planned, level=level) >= power

    if not enough(MOST_SEEDS):
        return None
    low, high = 1, 2
    while not enough(high):
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def power_of(planned: Estimate, *, level: float = 0.05) -> float:
    """Computes the probability that a difference like this one is found different from 0.

    Args:
        planned: Its `centre` is the true difference, its variances are the true ones.
        level: Of the two-sided test.
    """
    if planned.standard_error == 0:
        return 1.0
    freedom = planned.degrees_of_freedom
    noncentrality = planned.centre / planned.standard_error
    return t_two_sided(t_quantile(level, freedom), freedom, noncentrality)
