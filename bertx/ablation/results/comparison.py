"""The comparison of a study's variants: every number that its tables and its page show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bertx.ablation.outcome import RunOutcome, StudyOutcome, VariantOutcome, read_outcome
from bertx.ablation.results.evidence import RunEvidence, read_evidence
from bertx.ablation.results.measuring import (
    Answers,
    Reading,
    SeedRuns,
    answers_of,
    find_reading,
    has,
    measure,
)
from bertx.ablation.statistics.comparison import (
    Comparison,
    Summary,
    Verdict,
    compare,
    summarise,
    verdict,
)
from bertx.ablation.statistics.corrections import holm
from bertx.ablation.statistics.sample_size import seeds_needed


@dataclass(frozen=True)
class Cell:
    """One metric of one variant.

    Attributes:
        summary: Over its seeds.
        num_seeds: How many these are.
        against: Against the comparison, over the seeds that both have; None for the comparison itself, or
            where they have no seed in common.
        num_pairs: How many seeds these are.
    """

    summary: Summary
    num_seeds: int
    against: Comparison | None = None
    num_pairs: int = 0


@dataclass(frozen=True)
class VariantResults:
    """What a variant has come to.

    Attributes:
        outcome: What the study says of it.
        runs: Its finished runs.
        cells: By metric; what no run reports is not there.
        adjusted_p_value: Of the primary metric, corrected for all variants of the study.
        verdict: In words; None for the comparison, and where nothing can be compared.
        seeds_needed: With how many seeds a difference as large as the one found would probably be shown;
            None if that cannot be said, or 10,000 are not enough.
    """

    outcome: VariantOutcome
    runs: list[RunEvidence]
    cells: dict[str, Cell]
    adjusted_p_value: float | None = None
    verdict: Verdict | None = None
    seeds_needed: int | None = None

    @property
    def name(self) -> str:
        """The name of the variant."""
        return self.outcome.name

    @property
    def unfinished(self) -> list[RunOutcome]:
        """Its runs that have failed, or have yet to be run."""
        return [run for run in self.outcome.runs if run.status != "finished"]

    @property
    def degenerate(self) -> list[RunEvidence]:
        """Its runs that have not learned."""
        return [run for run in self.runs if run.faults]

    @property
    def by_seed(self) -> SeedRuns:
        """Its runs by seed, of the seeds all of whose folds have finished."""
        found: SeedRuns = {}
        for run in self.runs:
            found.setdefault(run.outcome.seed, []).append(run)
        planned = [run.seed for run in self.outcome.runs]
        return {seed: runs for seed, runs in found.items() if len(runs) == planned.count(seed)}


@dataclass(frozen=True)
class StudyResults:
    """What a study has come to.

    Attributes:
        outcome: What was run.
        folder: Where it is.
        variants: In the order of the study.
        metrics: The names of the metrics, the primary one first.
        labels: The names of all labels that occur or are predicted, sorted.
        by_instance: Those of `metrics` whose values are known instance by instance.
    """

    outcome: StudyOutcome
    folder: Path
    variants: list[VariantResults]
    metrics: list[str]
    labels: list[str]
    by_instance: list[str] = field(default_factory=list)

    @property
    def primary(self) -> str:
        """The name of the metric that decides."""
        return self.outcome.primary[1:]

    @property
    def higher_is_better(self) -> bool:
        """Whether the primary metric is better where it is higher."""
        return not self.outcome.primary.startswith("-")

    @property
    def comparison(self) -> VariantResults | None:
        """The variant that the others are compared to."""
        return next((variant for variant in self.variants if variant.outcome.is_comparison), None)

    def foremost(self, most: int) -> list[VariantResults]:
        """Returns the comparison and the variants with the best means, at most so many, in their order."""
        known = [variant for variant in self.variants if self.primary in variant.cells]
        sign = -1 if self.higher_is_better else 1
        known.sort(
            key=lambda variant: (
                not variant.outcome.is_comparison,
                sign * variant.cells[self.primary].summary.mean,
            )
        )
        chosen = {variant.name for variant in known[:most]}
        return [variant for variant in self.variants if variant.name in chosen]

    def cells(self, metric: str) -> list[Cell]:
        """Returns what is known of a metric, variant by variant."""
        return [variant.cells[metric] for variant in self.variants if metric in variant.cells]

    def answers(self, variant: VariantResults) -> Answers | None:
        """Returns the predictions of all seeds of a variant that are complete."""
        return answers_of(list(variant.by_seed.values()), self.labels)


def study_results(folder: Path) -> StudyResults:
    """Compares the variants of a study from the files of its runs.

    Raises:
        CheckpointError: The folder holds no study, or a file in it is broken.
    """
    outcome = read_outcome(folder)
    runs = {
        variant.name: [read_evidence(folder, run) for run in variant.runs if run.status == "finished"]
        for variant in outcome.variants
    }
    return results_of(outcome, folder, runs)


def results_of(outcome: StudyOutcome, folder: Path, runs: Mapping[str, list[RunEvidence]]) -> StudyResults:
    """Compares variants.

    Args:
        outcome: What was run.
        folder: Where it is.
        runs: The finished runs of each variant.
    """
    everything = [run for found in runs.values() for run in found]
    labels = _labels(everything)
    metrics = list(dict.fromkeys([outcome.primary[1:], *outcome.metrics]))
    readings = {metric: find_reading(everything, metric, labels) for metric in metrics}
    bare = [VariantResults(variant, runs[variant.name], {}) for variant in outcome.variants]
    base = next((variant for variant in bare if variant.outcome.is_comparison), None)
    variants = []
    for variant in bare:
        cells = {name: _cell(variant, base, name, reading, labels) for name, reading in readings.items()}
        known = {name: cell for name, cell in cells.items() if cell is not None}
        variants.append(VariantResults(variant.outcome, variant.runs, known))
    by_instance = [name for name in metrics if readings[name] is not None]
    return _with_verdicts(StudyResults(outcome, folder, variants, metrics, labels, by_instance))


def _labels(runs: Sequence[RunEvidence]) -> list[str]:
    known = [run.predictions for run in runs if run.predictions is not None]
    names = {label for found in known for label in (*found.gold, *found.predicted)}
    return sorted(label for label in names if label is not None)


def _cell(
    variant: VariantResults,
    base: VariantResults | None,
    metric: str,
    reading: Reading | None,
    labels: Sequence[str],
) -> Cell | None:
    ours = _reporting(variant, metric)
    if not ours:
        return None
    summary = summarise(measure(list(ours.values()), metric, reading, labels))
    theirs = {} if base is None or base is variant else _reporting(base, metric)
    pairs = [seed for seed in ours if seed in theirs]
    if not pairs:
        return Cell(summary, len(ours))
    against = _against(
        [ours[seed] for seed in pairs], [theirs[seed] for seed in pairs], metric, reading, labels
    )
    return Cell(summary, len(ours), against, len(pairs))


def _against(
    ours: Sequence[Sequence[RunEvidence]],
    theirs: Sequence[Sequence[RunEvidence]],
    metric: str,
    reading: Reading | None,
    labels: Sequence[str],
) -> Comparison:
    """Compares seed by seed, and instance by instance where the test data are the same."""
    if answers_of([*ours, *theirs], labels) is None:
        reading = None
    first, second = (measure(seeds, metric, reading, labels) for seeds in (ours, theirs))
    return compare(first, second, np.random.default_rng(0))


def _reporting(variant: VariantResults, metric: str) -> SeedRuns:
    return {seed: runs for seed, runs in variant.by_seed.items() if all(has(run, metric) for run in runs)}


def _with_verdicts(results: StudyResults) -> StudyResults:
    """Tests the primary metric of every variant, and corrects for there being several."""
    compared = {
        variant.name: cell.against
        for variant in results.variants
        if (cell := variant.cells.get(results.primary)) is not None and cell.against is not None
    }
    tested = {name: found.p_value for name, found in compared.items() if found.p_value is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    variants = []
    for variant in results.variants:
        against = compared.get(variant.name)
        if against is None:
            variants.append(variant)
            continue
        p_value, difference = adjusted.get(variant.name), against.difference
        words = verdict(difference.value, p_value, higher_is_better=results.higher_is_better)
        needed = seeds_needed(difference, difference.value)
        variants.append(VariantResults(variant.outcome, variant.runs, variant.cells, p_value, words, needed))
    return StudyResults(
        results.outcome, results.folder, variants, results.metrics, results.labels, results.by_instance
    )
