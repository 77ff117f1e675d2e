"""From figures to what is said of them: averages, goals, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.suite.workload import Comparison, Round
from tests.benchmarks.surroundings import verdict


@dataclass(frozen=True)
class Judged:
    """A comparison over all rounds.

    Attributes:
        text: What it is.
        values: One number per round.
        value: Their average; None: a system that it needs is not there.
        goal: In words; "" if there is none.
        holds: Whether the goal is reached; None: there is none, or nothing to judge.
    """

    text: str
    values: Sequence[float]
    value: float | None
    goal: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        if self.value is None:
            return "not measured"
        return "" if self.holds is None else verdict(self.holds)


def judge(comparison: Comparison, rounds: Sequence[Round]) -> Judged:
    """Makes a comparison over all rounds that have what it needs."""
    values = []
    for found in rounds:
        try:
            values.append(comparison.value(found))
        except KeyError:
            continue
    value = comparison.average(values) if values else None
    return Judged(comparison.text, values, value, goal(comparison), holds(comparison, value))


def goal(comparison: Comparison) -> str:
    """Tells a goal in words."""
    if comparison.at_least is not None and comparison.at_least == comparison.at_most:
        words = f"{comparison.at_least:g}"
    elif comparison.at_least is not None:
        words = f"at least {comparison.at_least:g}"
    elif comparison.at_most is not None:
        words = f"at most {comparison.at_most:.3g}"
    else:
        return ""
    return words if comparison.aim is None else f"{words} (aim {comparison.aim:g})"


def holds(comparison: Comparison, value: float | None) -> bool | None:
    """Tells whether a value reaches the goal; None: there is no goal or no value."""
    if value is None or (comparison.at_least is None and comparison.at_most is None):
        return None
    enough = comparison.at_least is None or value >= comparison.at_least
    return enough and (comparison.at_most is None or value <= comparison.at_most)


def median_figure(rounds: Sequence[Round], system: str, figure: str) -> float | None:
    """Returns the median of a figure over the rounds; None: there is none."""
    found = [one[system][figure] for one in rounds if system in one and figure in one[system]]
    return median(found) if found else None
