"""How large a difference is, beside how sure."""

from __future__ import annotations

import numpy as np

from bertx.ablation.statistics.measurements import Floats


def cohens_d(differences: Floats) -> float | None:
    """Divides the mean of paired differences by their standard deviation.

    Source: Cohen 1988, Statistical Power Analysis, there d_z; 0.2 is small, 0.5 medium, 0.8 large.

    Args:
        differences: Of scores, one per seed, (seeds,).

    Returns:
        None with fewer than two seeds, or where all differences are the same.
    """
    if len(differences) < 2 or np.ptp(differences) <= 1e-12 * np.abs(differences).max():  # but for rounding
        return None
    return float(differences.mean() / differences.std(ddof=1))


def probability_of_improvement(differences: Floats) -> float:
    """Computes the share of seeds in which the variant has the higher score; a tie counts half.

    Source: Bouthillier et al. 2021, Accounting for Variance in Machine Learning Benchmarks; there 0.75 is the
    least that matters.

    Args:
        differences: Of scores, variant less comparison, one per seed, (seeds,).
    """
    return float((differences > 0).mean() + (differences == 0).mean() / 2)
