"""The t distribution, central and noncentral, with any number of degrees of freedom of 1 or more."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from bertx.ablation.statistics.measurements import Floats

NODES = 512


def t_two_sided(t: float, degrees_of_freedom: float, noncentrality: float = 0.0) -> float:
    """Computes the probability of a value at least as far from 0 as `t`; to 1e-13.

    Source: Student 1908: a normal value over an independent root of chi square over its degrees of freedom.
    Given the root the probability is the normal distribution's; the mean over roots is a sum.

    Args:
        t: Any number.
        degrees_of_freedom: At least 1; infinite for the normal distribution.
        noncentrality: Mean of the normal value.
    """
    roots, weights = _roots_of_chi_square(degrees_of_freedom)
    ends = np.abs(t) * roots / math.sqrt(2)
    shift = noncentrality / math.sqrt(2)
    tails = [math.erfc(end - shift) + math.erfc(end + shift) for end in ends.tolist()]
    return float(weights @ np.asarray(tails)) / 2


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Finds the positive number that a t value exceeds in size with the given probability.

    Args:
        probability: Of both tails together, in (0, 1): 0.05 gives the factor of a 95 % interval.
        degrees_of_freedom: At least 1.
    """
    roots, weights = _roots_of_chi_square(degrees_of_freedom)
    # The probability is convex in t and the normal's quantile lies below: Newton's steps only rise.
    t = NormalDist().inv_cdf(1 - probability / 2)
    for _ in range(100):
        slope = math.sqrt(2 / math.pi) * float(weights @ (roots * np.exp(-((t * roots) ** 2) / 2)))
        step = (t_two_sided(t, degrees_of_freedom) - probability) / slope
        t += step
        if abs(step) <= 1e-14 * t:
            break
    return t


def _roots_of_chi_square(degrees_of_freedom: float) -> tuple[Floats, Floats]:
    """Returns roots of chi square over its degrees of freedom, and their probabilities.

    Equal steps in the logarithm: there the density is analytic and dies off on both sides, so that the error
    of the sum falls exponentially with the number of nodes. Left out is what lies below e^-40 of its height.
    """
    if math.isinf(degrees_of_freedom):
        return np.ones(1), np.ones(1)
    width = math.sqrt(40 / degrees_of_freedom)
    logarithms = np.linspace(-width - 40 / degrees_of_freedom, width, NODES)
    weights = np.exp(degrees_of_freedom * (logarithms - np.expm1(2 * logarithms) / 2))
    return np.exp(logarithms), weights / weights.sum()
