"""What a search may try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeGuard

from bertx.ablation.study.problems import Problems
from bertx.config.kinds import JSON, Place, shown
from bertx.config.suggestions import did_you_mean

RANGE_KEYS = ("low", "high", "log", "step")


class Trial(Protocol):
    """Chooses values: a trial of Optuna."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Chooses a whole number."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Chooses a number."""


@dataclass(frozen=True)
class Choices:
    """One of several values.

    Attributes:
        key: The dotted key.
        values: The values.
    """

    key: str
    values: tuple[JSON, ...]

    @property
    def place(self) -> Place:
        """Where the study file has it."""
        return ("search", "space", self.key)

    @property
    def corners(self) -> tuple[JSON, ...]:
        """The values to check beforehand: all."""
        return self.values

    def suggest(self, trial: Trial) -> JSON:
        """Lets a trial choose."""
        return self.values[trial.suggest_int(self.key, 0, len(self.values) - 1)]


@dataclass(frozen=True)
class Range:
    """A number between two others.

    Attributes:
        key: The dotted key.
        low: The least.
        high: The greatest.
        log: Whether its logarithm is what is chosen evenly.
        step: The distance of two neighbours; None: any number.
    """

    key: str
    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def place(self) -> Place:
        """Where the study file has it."""
        return ("search", "space", self.key)

    @property
    def corners(self) -> tuple[JSON, ...]:
        """The values to check beforehand: both ends."""
        return (self.low, self.high)

    def suggest(self, trial: Trial) -> JSON:
        """Lets a trial choose."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.key, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)


Dimension: TypeAlias = Choices | Range


def read_space(written: Mapping[str, JSON], problems: Problems) -> dict[str, Dimension]:
    """Reads what is to be tried; what is wrong with a key is noted, and it is left out."""
    found: dict[str, Dimension] = {}
    for key, value in written.items():
        place: Place = ("search", "space", key)
        if isinstance(value, list) and len(value) > 1:
            found[key] = Choices(key, tuple(value))
        elif isinstance(value, dict):
            complaint = _complaint(value)
            if complaint is None:
                found[key] = Range(key, **value)  # type: ignore[arg-type]  # `_complaint` has looked
            else:
                problems.add(place, complaint)
        else:
            problems.add(place, f"{shown(value)}; expected a list of two or more values, or {{low, high}}")
    return found


def _complaint(value: Mapping[str, JSON]) -> str | None:
    """Says what is wrong with a range; None: nothing."""
    unknown = [key for key in value if key not in RANGE_KEYS]
    if unknown:
        hint = did_you_mean(unknown[0], RANGE_KEYS)
        return f'unknown key "{unknown[0]}"{hint}; a range has: {", ".join(RANGE_KEYS)}'
    low, high, step, log = (value.get(key) for key in ("low", "high", "step", "log"))
    if not _is_number(low) or not _is_number(high) or not low < high:
        return f"low is {shown(low)} and high {shown(high)}; expected two numbers, the second one larger"
    if step is not None and (not _is_number(step) or step <= 0):
        return f"step is {shown(step)}; expected a number above 0"
    if log is not None and not isinstance(log, bool):
        return f"log is {shown(log)}; expected true or false"
    if log and (step is not None or low <= 0):
        return "log does not go with a step, nor with a low of 0 or less"
    return None


def _is_number(value: JSON) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
