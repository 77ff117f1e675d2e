"""What a benchmark is made of: systems that do the same work, and what is said of their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeAlias

Figures: TypeAlias = Mapping[str, float]
Round: TypeAlias = Mapping[str, Figures]  # by the names of the systems


@dataclass(frozen=True)
class System:
    """One that is measured, each time in a fresh process.

    Attributes:
        name: Short; `--systems` takes it.
        function: `module:function`, called in the fresh process with the settings; of the parameters
            `folder` (an empty one of its own), `seed` (the number of the round, from 1) and `started` (when
            the process was started, in seconds since the epoch) it gets those that it names. Returns figures.
        settings: The arguments; JSON.
        note: What the table says beside the name, such as that it takes fewer rows.
        python: The interpreter; None: the one that runs the suite.
    """

    name: str
    function: str
    settings: Mapping[str, object] = field(default_factory=dict)
    note: str = ""
    python: Path | None = None


@dataclass(frozen=True)
class Column:
    """A figure that the table shows.

    Attributes:
        figure: Its name in the figures of a system.
        title: With the unit.
        decimals: How many to show.
    """

    figure: str
    title: str
    decimals: int = 1


@dataclass(frozen=True)
class Comparison:
    """A number made of one round's figures; without a bound it is only told.

    Attributes:
        text: What it is.
        value: Makes it; a KeyError says that a system is not there.
        at_least: The goal, if more is better.
        at_most: The goal, if less is better.
        aim: What is hoped for beyond the goal.
        average: Makes one number of all rounds'.
    """

    text: str
    value: Callable[[Round], float]
    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None
    average: Callable[[Sequence[float]], float] = median


@dataclass(frozen=True)
class Workload:
    """One kind of work, ready to be measured.

    Attributes:
        name: `--only` takes it.
        about: What is measured and how, for the reader of the table.
        systems: The first is bertx.
        columns: The figures to show.
        comparisons: What is said of them.
        most_repeats: More rounds than that are not run, because they take long and differ little.
        warm_up: Whether a first round is run that does not count.
    """

    name: str
    about: str
    systems: Sequence[System]
    columns: Sequence[Column]
    comparisons: Sequence[Comparison] = ()
    most_repeats: int | None = None
    warm_up: bool = False


def ratio(figure: str, system: str, other: str) -> Callable[[Round], float]:
    """Returns what divides a figure of one system by the same figure of another."""
    return lambda found: found[system][figure] / found[other][figure]


def value(figure: str, system: str, factor: float = 1.0) -> Callable[[Round], float]:
    """Returns what takes a figure of one system, in another unit if need be."""
    return lambda found: factor * found[system][figure]
