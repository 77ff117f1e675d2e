"""One variant of a study in numbers, and two against each other: the front of this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bertx.ablation.statistics.effect_sizes import cohens_d, probability_of_improvement
from bertx.ablation.statistics.estimates import (
    Estimate,
    estimate_accuracy,
    estimate_accuracy_difference,
    estimate_mean,
)
from bertx.ablation.statistics.mcnemar import mcnemar_mid_p
from bertx.ablation.statistics.measurements import Floats, Measurement, paired_difference
from bertx.ablation.statistics.permutation import metric_permutation_test, sign_flip_test

Verdict: TypeAlias = Literal["better", "worse", "no difference shown"]
PairedTest: TypeAlias = Literal[
    "t over seeds and instances", "t over seeds", "McNemar", "permutation", "none"
]


@dataclass(frozen=True)
class Summary:
    """Holds what one variant's runs show in one metric.

    Args:
        mean: Over seeds.
        standard_deviation: Over seeds, of single runs; None with one seed.
        estimate: Of the mean; `estimate.interval()` and `estimate.covers` go into a table.
    """

    mean: float
    standard_deviation: float | None
    estimate: Estimate


@dataclass(frozen=True)
class Comparison:
    """Holds what two variants' runs on the same seeds and instances show in one metric.

    Args:
        difference: Variant less comparison.
        p_value: Two-sided, of no difference, by `test`, not yet corrected for other comparisons; None if
            there is one seed and nothing is known of the instances.
        test: What made the p-value.
        permutation_p_value: Of exchanging the two within instances: these trained models on other
            instances, silent about other seeds; None where values per instance are unknown.
        cohens_d: Of the seeds' differences; None if undefined.
        probability_of_improvement: Share of seeds with a higher score; ties count half.
    """

    difference: Estimate
    p_value: float | None
    test: PairedTest
    permutation_p_value: float | None
    cohens_d: float | None
    probability_of_improvement: float


def summarise(measured: Measurement) -> Summary:
    """Summarises one variant."""
    scores = measured.scores
    values = measured.values
    binary = values is not None and measured.is_binary
    estimate = estimate_accuracy(values) if values is not None and binary else estimate_mean(scores, values)
    deviation = float(scores.std(ddof=1)) if len(scores) > 1 else None
    return Summary(float(scores.mean()), deviation, estimate)


def compare(variant: Measurement, base: Measurement, generator: np.random.Generator) -> Comparison:
    """Compares a variant with another on the same seeds and instances, pair by pair.

    With several seeds the p-value is that of the crossed estimate, so that it agrees with the interval; with
    one it can but speak of the two trained models: McNemar's mid-p for correctness, else a permutation.

    Args:
        variant: The scores of the seeds that both have, in the same order.
        base: What it is compared to.
        generator: Draws permutations.

    Raises:
        ValueError: The two differ in seeds or instances.
    """
    paired = paired_difference(variant, base)
    by_seed, differences = paired.scores, paired.values
    permuted = _permuted(variant, base, differences, generator)
    binary = variant.is_binary and base.is_binary
    if differences is not None and binary:
        estimate = estimate_accuracy_difference(differences)
    else:
        estimate = estimate_mean(by_seed, differences)
    test: PairedTest = "none"
    p_value = estimate.p_value
    if len(by_seed) > 1:
        test = "t over seeds" if differences is None else "t over seeds and instances"
    elif differences is not None and binary:
        test, p_value = "McNemar", mcnemar_mid_p(int((differences > 0).sum()), int((differences < 0).sum()))
    elif differences is not None:
        test, p_value = "permutation", permuted
    effect, improvement = cohens_d(by_seed), probability_of_improvement(by_seed)
    return Comparison(estimate, p_value, test, permuted, effect, improvement)


def verdict(
    difference: float, adjusted_p_value: float | None, *, higher_is_better: bool, level: float = 0.05
) -> Verdict:
    """Says in words what a comparison shows.

    "No difference shown" is not "equal": the interval tells which differences remain possible.

    Args:
        difference: Variant less comparison.
        adjusted_p_value: After `holm` over the study; None if there is no test.
        higher_is_better: False for a loss.
        level: Below which a difference counts as shown.
    """
    if adjusted_p_value is None or adjusted_p_value >= level or difference == 0:
        return "no difference shown"
    return "better" if (difference > 0) == higher_is_better else "worse"


def _permuted(
    variant: Measurement, base: Measurement, differences: Floats | None, generator: np.random.Generator
) -> float | None:
    if differences is None:
        return None
    if variant.sums is None or base.sums is None:
        return sign_flip_test(differences.mean(axis=0), generator)
    return metric_permutation_test(variant.sums, base.sums, generator)
