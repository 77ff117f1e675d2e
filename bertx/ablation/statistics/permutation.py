"""Paired permutation tests: what if the names of the two variants were exchanged at random?

What may be exchanged decides what is tested, and no exchange serves seeds and instances at once:

- within each seed, for all instances together: keeps the test data fixed. Of `n` seeds there are `2^n`
  exchanges, so that no result is below `2 / 2^n`: 0.25 with 3 seeds, 0.0625 with 5, 0.03 with 6.
- within each instance, for all seeds together: keeps the trained models fixed (approximate randomization,
  Noreen 1989; Dror et al. 2018). It does not know that other seeds give other models.
- within each pair of seed and instance on its own: treats correlated pairs as independent; wrong.

Variants that are equal in expectation over seeds and instances are exchangeable in neither way: five models
may by chance all lean to one side, and so may the instances. In simulated studies of equal variants, with 3
to 10 seeds and 1000 instances, exchanges within instances found a difference at the 5 % level in 22 to 70 %
of them, the crossed estimate (`estimates`) in 5 to 7 %. So a study's verdict with several seeds rests on the
latter, and these tests say what they say of seeds or of instances alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bertx.ablation.statistics.measurements import Floats, Sums

CHUNK = 64  # rows at a time, which stay in the processor's cache


def sign_flip_test(differences: Floats, generator: np.random.Generator, *, num_draws: int = 9999) -> float:
    """Computes the two-sided p-value of a mean of paired differences, by flipping their signs.

    All exchanges are counted where there are at most `num_draws` of them; otherwise that many are drawn and
    the observed one is added, which keeps the test valid.

    Source: Fisher 1935, The Design of Experiments, section 21; Phipson & Smyth 2010 for the added one.

    Args:
        differences: One per unit, (units,): means over seeds per instance, or scores per seed.
        generator: Draws the exchanges.
        num_draws: How many are drawn.
    """
    sizes = np.abs(differences[differences != 0])  # an exchange of equals changes nothing
    # Half an exchange: the flipped sum is all minus twice the part that is flipped.
    observed, total = abs(float(differences.sum())), float(sizes.sum())
    least = observed - 1e-12 * total  # equal sums may differ in their last digits
    exact = 2 ** len(sizes) <= num_draws
    draws = _every_choice(len(sizes)) if exact else _random_choices(len(sizes), num_draws, generator)
    extreme = sum(int((np.abs(total - 2 * (chosen @ sizes)) >= least).sum()) for chosen in draws)
    return extreme / 2 ** len(sizes) if exact else (extreme + 1) / (num_draws + 1)


def metric_permutation_test(
    sums: Sums, base: Sums, generator: np.random.Generator, *, num_draws: int = 4999
) -> float:
    """Computes the two-sided p-value of a difference in a metric such as F1, recomputed for every exchange.

    Predictions of the two variants are exchanged within instances, in all seeds together.

    Source: Yeh 2000, More accurate tests for the statistical significance of result differences.

    Args:
        sums: Of the variant.
        base: Of the comparison, with the same metric.
        generator: Draws the exchanges.
        num_draws: How many are drawn.
    """
    metric = sums.metric
    moved = base.terms - sums.terms
    moved = moved[:, moved.any(axis=(0, 2))]
    num_seeds, num_moved, num_terms = moved.shape
    flat = moved.transpose(1, 0, 2).reshape(num_moved, num_seeds * num_terms)
    first, second = sums.terms.sum(axis=1), base.terms.sum(axis=1)  # (seeds, terms)
    observed = abs(float((metric(first) - metric(second)).mean()))
    extreme = 0
    for chosen in _random_choices(num_moved, num_draws, generator):
        shift = (chosen @ flat).reshape(-1, num_seeds, num_terms)
        differences = (metric(first + shift) - metric(second - shift)).mean(axis=1)  # (draws,)
        extreme += int((np.abs(differences) >= observed - 1e-12).sum())
    return (extreme + 1) / (num_draws + 1)


def _every_choice(num_units: int) -> Iterator[Floats]:
    """Gives all subsets as rows of 0s and 1s."""
    yield (np.arange(2**num_units)[:, None] >> np.arange(num_units) & 1).astype(np.float64)


def _random_choices(num_units: int, num_draws: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Gives random subsets as rows of 0s and 1s, a chunk at a time."""
    for start in range(0, num_draws, CHUNK):
        shape = (min(CHUNK, num_draws - start), -(-num_units // 8))
        eights = generator.integers(0, 256, size=shape, dtype=np.uint8)  # eight choices in each byte
        yield np.unpackbits(eights, axis=1, count=num_units).astype(np.float64)
