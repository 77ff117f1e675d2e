"""Designs: which levels of which factors come together in one variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from bertx.ablation.study.factors import Level, WrittenEdit
from bertx.ablation.study.problems import Problems

BASE = "base"

Factors: TypeAlias = Mapping[str, Sequence[Level]]


@dataclass(frozen=True)
class Combination:
    """Levels that make a variant together; the base has none.

    Attributes:
        name: The name of the variant.
        levels: One of each factor that is changed.
    """

    name: str
    levels: tuple[Level, ...] = ()

    @property
    def edits(self) -> tuple[WrittenEdit, ...]:
        """All edits, in the order of the levels."""
        return tuple(edit for level in self.levels for edit in level.edits)


def one_factor(factors: Factors) -> list[Combination]:
    """Makes the base, and each level of each factor alone."""
    alone = [Combination(level.name, (level,)) for levels in factors.values() for level in levels]
    return [Combination(BASE), *alone]


def grid(factors: Factors) -> list[Combination]:
    """Makes the base, and all combinations of one level of each factor."""
    combined = product(*factors.values())
    return [
        Combination(BASE),
        *(Combination(", ".join(level.name for level in levels), levels) for levels in combined),
    ]


def leave_one_out(factors: Factors) -> list[Combination]:
    """Makes the base, and for each factor the base without the part that the factor takes away."""
    without = [
        Combination(f"without {levels[0].name}", (levels[0],)) for levels in factors.values() if levels
    ]
    return [Combination(BASE), *without]


def paired(factors: Factors) -> list[Combination]:
    """Makes the base, and the base with the edits of all factors."""
    levels = tuple(levels[0] for levels in factors.values() if levels)
    return [Combination(BASE), Combination(" + ".join(level.name for level in levels), levels)]


DESIGNS: Mapping[str, Callable[[Factors], list[Combination]]] = {
    "one_factor": one_factor,
    "grid": grid,
    "leave_one_out": leave_one_out,
    "paired": paired,
}
ONE_LEVEL_ONLY = ("leave_one_out", "paired")


def check_levels(design: str, factors: Factors, problems: Problems) -> None:
    """Notes factors with more levels than a design knows what to do with."""
    for name, levels in factors.items():
        if design in ONE_LEVEL_ONLY and len(levels) > 1:
            problems.add(
                ("factors", name),
                f'has {len(levels)} levels, but the design "{design}" takes one of each factor; '
                'give one value, or set design: "one_factor"',
            )
