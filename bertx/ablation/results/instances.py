"""What a variant changes below its scores: for classes, for pairs of them, and for single instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bertx.ablation.results.comparison import StudyResults, VariantResults
from bertx.ablation.results.evidence import Key, RunEvidence
from bertx.ablation.results.measuring import Answers, answers_of
from bertx.ablation.statistics.measurements import Floats


@dataclass(frozen=True)
class ClassScores:
    """How well one label is found, as means over seeds; 0 divided by 0 is 0.

    Attributes:
        label: Its name.
        support: How many instances have it.
        precision: The share of right ones among its predictions.
        recall: The share of its instances that are found.
        f1: Their harmonic mean, of each seed.
    """

    label: str
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Flip:
    """An instance about which variants and comparison disagree.

    Attributes:
        key: Its name.
        gold: Its label.
        num_flips: How many runs predict another label than the comparison's run of the same seed.
        num_pairs: Of how many.
        votes: For each variant how many of its runs give which label, the most frequent one first.
    """

    key: Key
    gold: str | None
    num_flips: int
    num_pairs: int
    votes: dict[str, dict[str, int]]


def class_scores(answers: Answers) -> list[ClassScores]:
    """Scores every label.

    Source: van Rijsbergen 1979, Information Retrieval, chapter 7.
    """
    occurring, predicted, hits = np.split(answers.counts.sum(axis=1), 3, axis=-1)  # (seeds, labels) each
    scores = [
        _ratio(hits, predicted),
        _ratio(hits, occurring),
        _ratio(2 * hits, occurring + predicted),
    ]
    means = [score.mean(axis=0).tolist() for score in scores]
    support = [int(count) for count in occurring[0]]
    return [ClassScores(*row) for row in zip(answers.labels, support, *means, strict=True)]


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)


def confusion(answers: Answers) -> Floats:
    """Counts gold labels (rows) against predictions (columns) in the mean of seeds: (labels, labels)."""
    size = len(answers.labels)
    known = answers.gold >= 0
    cells = answers.gold[known] * size + answers.predicted[:, known]  # (seeds, instances)
    counts = np.bincount(cells.ravel(), minlength=size * size).reshape(size, size)
    return counts.astype(np.float64) / len(answers.predicted)


def paired_answers(results: StudyResults, variant: VariantResults) -> tuple[Answers, Answers] | None:
    """Returns the predictions of the comparison and of a variant, of the seeds that both have.

    Returns:
        None if there is nothing to compare, or they are not of the same instances.
    """
    base = results.comparison
    if base is None or base is variant:
        return None
    theirs, ours = base.by_seed, variant.by_seed
    seeds = [seed for seed in ours if seed in theirs]
    both = [[runs[seed] for seed in seeds] for runs in (theirs, ours)]
    if answers_of([*both[0], *both[1]], results.labels) is None:
        return None
    found = [answers_of(runs, results.labels) for runs in both]
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def most_flipped(results: StudyResults, most: int) -> list[Flip]:
    """Finds the instances whose prediction differs most often from the comparison's.

    Runs that have not learned are left out: they would flip everything.

    Args:
        results: The study.
        most: How many instances to return at most.
    """
    base = results.comparison
    if base is None:
        return []
    flips: dict[Key, int] = {}
    pairs: dict[Key, int] = {}
    votes: dict[Key, dict[str, dict[str, int]]] = {}
    gold: dict[Key, str | None] = {}
    reference = {_place(run): _by_key(run) for run in _sound(base)}
    for variant in results.variants:
        for run in _sound(variant):
            guesses = _by_key(run)
            gold |= dict(zip(run.keys, run.predictions.gold, strict=True)) if run.predictions else {}
            other = reference.get(_place(run), {})
            for key, guess in guesses.items():
                given = votes.setdefault(key, {}).setdefault(variant.name, {})
                given[guess] = given.get(guess, 0) + 1
                if variant is not base and key in other:
                    pairs[key] = pairs.get(key, 0) + 1
                    flips[key] = flips.get(key, 0) + (guess != other[key])
    found = sorted((key for key in flips if flips[key]), key=lambda key: -flips[key])[:most]
    return [Flip(key, gold[key], flips[key], pairs[key], _sorted_votes(votes[key])) for key in found]


def _sound(variant: VariantResults) -> Sequence[RunEvidence]:
    return [run for run in variant.runs if not run.faults]


def _place(run: RunEvidence) -> tuple[int, int | None]:
    return run.outcome.seed, run.outcome.fold


def _by_key(run: RunEvidence) -> dict[Key, str]:
    return dict(zip(run.keys, run.predictions.predicted, strict=True)) if run.predictions else {}


def _sorted_votes(votes: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {
        name: dict(sorted(given.items(), key=lambda vote: (-vote[1], vote[0])))
        for name, given in votes.items()
    }
