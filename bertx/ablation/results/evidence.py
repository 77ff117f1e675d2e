"""What a run folder tells beside its metrics: what it predicts for each instance, and how training went."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from bertx.ablation.outcome import PREDICTIONS, RunOutcome
from bertx.ablation.statistics.degenerate import loss_is_not_falling, predicts_one_class
from bertx.data.instance import JSON
from bertx.errors import CheckpointError

METRICS_LOG = "metrics.jsonl"
NUM_THIRDS = 3  # fewer losses than that tell nothing of their fall

Key: TypeAlias = tuple[int | None, str]
"""What names an instance in all runs of a study: the fold that validates it, and its id."""


@dataclass(frozen=True)
class Predictions:
    """What one run predicts, instance by instance.

    Attributes:
        ids: What names the instances.
        gold: Their labels; None: there is none.
        predicted: The labels that are predicted.
        losses: The cross-entropy of each; None where it is unknown.
        confidences: The highest probability; None where there are none.
    """

    ids: Sequence[str]
    gold: Sequence[str | None]
    predicted: Sequence[str]
    losses: Sequence[float | None] = ()
    confidences: Sequence[float | None] = ()

    @property
    def hits(self) -> list[bool]:
        """Whether each is right."""
        return [gold == guess for gold, guess in zip(self.gold, self.predicted, strict=True)]


@dataclass(frozen=True)
class Curves:
    """How a training went, by optimizer steps.

    Attributes:
        losses: The training loss of each logged step; NaN where it was not finite.
        rates: The learning rate.
        grad_norms: The norm of all gradients, before clipping.
        validations: Metrics on the validation data, by name.
    """

    losses: list[tuple[int, float]] = field(default_factory=list)
    rates: list[tuple[int, float]] = field(default_factory=list)
    grad_norms: list[tuple[int, float]] = field(default_factory=list)
    validations: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunEvidence:
    """A finished run of a study.

    Attributes:
        outcome: What the study says of it.
        predictions: None if it has none.
        curves: How its training went.
    """

    outcome: RunOutcome
    predictions: Predictions | None
    curves: Curves

    @cached_property
    def keys(self) -> list[Key]:
        """What names its instances in the whole study."""
        return [(self.outcome.fold, name) for name in self.predictions.ids] if self.predictions else []

    @cached_property
    def faults(self) -> list[str]:
        """Why it is degenerate: its scores are numbers, but it has not learned."""
        return faults(self.predictions, self.curves)


def faults(predictions: Predictions | None, curves: Curves) -> list[str]:
    """Says in words what is degenerate about a run."""
    found = []
    if predictions is not None and predictions.ids:
        numbers = {label: number for number, label in enumerate({*predictions.gold, *predictions.predicted})}
        guesses, gold = (
            np.array([numbers[label] for label in labels], dtype=np.int64)
            for labels in (predictions.predicted, predictions.gold)
        )
        if predicts_one_class(guesses, gold):
            found.append(f'predicts "{predictions.predicted[0]}" for every instance')
    losses = [loss for _, loss in curves.losses]
    if len(losses) >= NUM_THIRDS and loss_is_not_falling(losses):
        found.append("its training loss does not fall")
    return found


def read_evidence(study: Path, outcome: RunOutcome) -> RunEvidence:
    """Reads the folder of a finished run.

    Raises:
        CheckpointError: A file in it is broken.
    """
    folder = study / outcome.folder
    return RunEvidence(outcome, read_predictions(folder / PREDICTIONS), read_curves(folder))


def read_predictions(path: Path) -> Predictions | None:
    """Reads what `bertx evaluate --predictions-output-file` wrote.

    Returns:
        None if there is no such file, or no labels are predicted.

    Raises:
        CheckpointError: It is broken.
    """
    if not path.exists():
        return None
    lines = list(_lines(path))
    if any(not isinstance(line.get("prediction"), str) for line in lines):
        return None
    return Predictions(
        [str(line.get("id")) for line in lines],
        [None if line.get("gold") is None else str(line["gold"]) for line in lines],
        [str(line["prediction"]) for line in lines],
        [_number(line.get("loss")) for line in lines],
        [_highest(line.get("probs")) for line in lines],
    )


def read_curves(folder: Path) -> Curves:
    """Reads `metrics.jsonl` of a run folder; without one the curves are empty.

    Raises:
        CheckpointError: It is broken.
    """
    curves = Curves()
    path = folder / METRICS_LOG
    if not path.exists():
        return curves
    for line in _lines(path):
        step = line.get("step")
        if not isinstance(step, int):
            continue
        if line.get("kind") == "step":
            for name, points in (
                ("loss", curves.losses),
                ("lr", curves.rates),
                ("grad_norm", curves.grad_norms),
            ):
                value = _number(line.get(name))
                points.append((step, math.nan if value is None else value))
        elif line.get("kind") == "validation":
            for name in line.keys() - {"time", "kind", "step"}:
                if (value := _number(line[name])) is not None:
                    curves.validations.setdefault(name, []).append((step, value))
    return curves


def _lines(path: Path) -> Iterator[dict[str, JSON]]:
    try:
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            line = json.loads(text)
            if not isinstance(line, dict):
                raise ValueError(f"line {number} holds no object")
            yield line
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error}); expected JSON lines as bertx writes them"
        ) from None


def _number(value: JSON) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _highest(value: JSON) -> float | None:
    """Takes the highest of the probabilities of a line."""
    numbers = [found for found in value if isinstance(found, (int, float))] if isinstance(value, list) else []
    return max(numbers) if numbers else None
