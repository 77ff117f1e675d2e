"""What a study has yielded: the one thing that running writes and tables, pages and statistics read.

DIR/study.json       what all runs share: name, design, metrics, seeds, the variants in order
DIR/results.jsonl    a line for each run, in the order of variants, seeds and folds
DIR/runs/<name>/     run folders as `bertx train` writes them, with `predictions.jsonl`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from bertx.atomic import write_json, write_text
from bertx.data.instance import JSON
from bertx.errors import CheckpointError

STUDY = "study.json"
RESULTS = "results.jsonl"
DIGITS = 12  # of an identity, in the names of files
PREDICTIONS = "predictions.jsonl"  # in every run folder: what the chosen weights predict, by instance

RunStatus: TypeAlias = Literal["finished", "failed", "missing"]
Split: TypeAlias = Literal["validation", "test"]


@dataclass(frozen=True)
class RunOutcome:
    """What one run has yielded.

    Attributes:
        variant: The name of its variant.
        seed: Its random seed.
        fold: Which part of the data validated it, from 0; None without cross-validation.
        identity: Hexadecimal digits; runs of equal identity are equal.
        status: Whether it has finished, has failed, or has yet to be run.
        folder: Its run folder, relative to the study's.
        metrics: Those of its best weights, by plain names such as `accuracy`; see
            `StudyOutcome.evaluated_on`.
        error: The last line of what went wrong.
        seconds: The time of the training.
        peak_memory_bytes: The most memory that its process held.
        num_parameters: The size of the model.
        num_trainable_parameters: How many of them were trained.
    """

    variant: str
    seed: int
    fold: int | None
    identity: str
    status: RunStatus
    folder: str
    metrics: dict[str, float]
    error: str | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    num_parameters: int | None = None
    num_trainable_parameters: int | None = None


@dataclass(frozen=True)
class VariantOutcome:
    """What the runs of one variant have yielded.

    Attributes:
        name: Its name.
        changes: Dotted keys and their values where its config differs from the base; {} for the base. The
            value of a key that the variant lacks is None.
        is_comparison: Whether the others are compared to it.
        fraction: The part of the training data it has; None: the study does not vary it.
        runs: In the order of seeds, then folds.
    """

    name: str
    changes: dict[str, JSON]
    is_comparison: bool
    fraction: float | None
    runs: list[RunOutcome]


@dataclass(frozen=True)
class StudyOutcome:
    """What a study has yielded.

    Attributes:
        name: Its name.
        design: How its variants came about: `one_factor`, `grid`, ...
        metrics: The plain names of the metrics to show, in the order of the study file.
        primary: The metric that decides, with the sign of what is better: `+accuracy`, `-loss`.
        seeds: The random seeds of every variant.
        variants: In the order of the study file.
        evaluated_on: The data that metrics and predictions are of: those for testing if the configs have
            `evaluate_on_test`.
    """

    name: str
    design: str
    metrics: list[str]
    primary: str
    seeds: list[int]
    variants: list[VariantOutcome]
    evaluated_on: Split = "validation"


@dataclass(frozen=True)
class _Line:
    """A line of `results.jsonl`; what differs from one machine to the next comes last."""

    variant: str
    changes: dict[str, JSON]
    fraction: float | None
    seed: int
    fold: int | None
    identity: str
    status: RunStatus
    folder: str
    metrics: dict[str, float]
    error: str | None
    num_parameters: int | None
    num_trainable_parameters: int | None
    seconds: float | None
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class _Shared:
    """What `study.json` holds."""

    name: str
    design: str
    metrics: list[str]
    primary: str
    seeds: list[int]
    variants: list[str]
    compare_to: str | None
    evaluated_on: Split


def write_outcome(folder: Path, outcome: StudyOutcome) -> None:
    """Writes `study.json` and `results.jsonl`; equal outcomes give equal bytes.

    Raises:
        DataError: A file cannot be written.
    """
    names = [variant.name for variant in outcome.variants]
    compared = [variant.name for variant in outcome.variants if variant.is_comparison]
    shared = _Shared(
        outcome.name,
        outcome.design,
        outcome.metrics,
        outcome.primary,
        outcome.seeds,
        names,
        compared[0] if compared else None,
        outcome.evaluated_on,
    )
    write_json(folder / STUDY, asdict(shared))
    lines = [_line(variant, run) for variant in outcome.variants for run in variant.runs]
    write_text(folder / RESULTS, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _line(variant: VariantOutcome, run: RunOutcome) -> Mapping[str, object]:
    shared = {"changes": variant.changes, "fraction": variant.fraction}
    found = asdict(run) | shared
    return {name: found[name] for name in _Line.__dataclass_fields__}


def read_outcome(folder: Path) -> StudyOutcome:
    """Reads what `write_outcome` wrote.

    Raises:
        CheckpointError: The folder holds no study, or a broken one.
    """
    try:
        shared = _Shared(**json.loads(_text(folder, STUDY)))
        lines = [_Line(**json.loads(line)) for line in _text(folder, RESULTS).splitlines()]
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{folder}: {STUDY} or {RESULTS} is broken ({error}); run the study "
            "once more, which writes them anew"
        ) from None
    variants = [
        _variant(name, name == shared.compare_to, [line for line in lines if line.variant == name])
        for name in shared.variants
    ]
    return StudyOutcome(
        shared.name,
        shared.design,
        shared.metrics,
        shared.primary,
        shared.seeds,
        variants,
        shared.evaluated_on,
    )


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError as error:
        raise CheckpointError(
            f"{folder / name}: cannot be read ({error.strerror}); expected the folder of a study, as "
            "`bertx ablate STUDY -s DIR` writes it"
        ) from None


def _variant(name: str, is_comparison: bool, lines: list[_Line]) -> VariantOutcome:
    runs = [
        RunOutcome(**{field: getattr(line, field) for field in RunOutcome.__dataclass_fields__})
        for line in lines
    ]
    changes, fraction = (lines[0].changes, lines[0].fraction) if lines else ({}, None)
    return VariantOutcome(name, changes, is_comparison, fraction, runs)
