"""Studies with known truth: seeds and test instances are both drawn anew in every one.

Each function gives tables of values, (studies, seeds, instances), and what their mean is in expectation.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np

PHI = np.vectorize(NormalDist().cdf, otypes=[np.float64])


def skewed(generator, shape, skewness):
    """Draws numbers of mean 0, variance 1 and the given skewness; normal ones if it is 0."""
    if skewness == 0:
        return generator.standard_normal(shape)
    form = 4 / skewness**2
    return math.copysign(1, skewness) * (generator.gamma(form, size=shape) - form) / math.sqrt(form)


def losses(generator, num_studies, num_seeds, num_instances, *, sd=(0.1, 1.0, 1.0), skewness=(0.0, 0.0, 0.0)):
    """Draws losses, or differences of losses, about 0: effects of seed, instance, and of both together."""
    by_seed = sd[0] * skewed(generator, (num_studies, num_seeds, 1), skewness[0])
    by_instance = sd[1] * skewed(generator, (num_studies, 1, num_instances), skewness[1])
    rest = sd[2] * skewed(generator, (num_studies, num_seeds, num_instances), skewness[2])
    return by_seed + by_instance + rest


def correctness(generator, difficulty, num_seeds, *, level=1.0, seed_sd=0.1, own_sd=0.5, skewness=0.0):
    """Draws 0s and 1s of one variant on instances of given difficulty, and their expectation.

    An instance is right if level + skill of the seed - difficulty - difficulty for this variant + noise > 0.
    The noise of a single prediction is standard normal, the difficulty shared by variants has variance 1.
    """
    num_studies, num_instances = difficulty.shape
    skill = seed_sd * skewed(generator, (num_studies, num_seeds, 1), skewness)
    own = own_sd * generator.standard_normal((num_studies, 1, num_instances))
    noise = generator.standard_normal((num_studies, num_seeds, num_instances))
    right = level + skill - difficulty[:, None] - own + noise > 0
    return right.astype(np.float64), expected_accuracy(level, seed_sd, own_sd, skewness)


def expected_accuracy(level, seed_sd, own_sd, skewness):
    many = seed_sd * skewed(np.random.default_rng(1), 40_000, skewness)
    many -= many.mean()
    return float(PHI((level + many) / math.sqrt(2 + own_sd**2)).mean())


def detections(generator, num_studies, num_seeds, num_instances, *, prevalence=0.2, seed_sd=0.15):
    """Draws gold labels and predictions of a rare class, and the expected F1 of that class over seeds."""
    gold = (generator.random((num_studies, num_instances)) < prevalence).astype(np.int64)
    skill = seed_sd * generator.standard_normal((num_studies, num_seeds, 1))
    difficulty = generator.standard_normal((num_studies, 1, num_instances))
    noise = generator.standard_normal((num_studies, num_seeds, num_instances))
    sign = 2 * gold[:, None] - 1
    found = sign * (1.0 + skill) + difficulty + noise > 0
    many = seed_sd * generator.standard_normal(40_000)
    hit = PHI((1.0 + many - many.mean()) / math.sqrt(2))
    f1 = 2 * prevalence * hit / (prevalence * hit + prevalence + (1 - prevalence) * (1 - hit))
    return gold, found.astype(np.int64), float(f1.mean())


def covers(estimate, truth):
    """Whether the 95 % interval holds the truth; by the p-value of the shifted estimate, which is faster."""
    return replace(estimate, centre=estimate.centre - truth).p_value >= 0.05
