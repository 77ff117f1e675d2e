"""What the variants cost, beside what they reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import TypeAlias
from xml.etree.ElementTree import Element

from bertx.ablation.outcome import RunOutcome
from bertx.ablation.results.comparison import StudyResults, VariantResults
from bertx.report.charts.scatter import Point, scatter_chart
from bertx.report.page import Column, facets, figure, paragraph, section, table
from bertx.report.study.table import NOTHING, mark_of, variant_name

Cost: TypeAlias = Callable[[RunOutcome], float | None]

COSTS: dict[str, tuple[str, float, Cost]] = {  # title of the axis, size of its unit, and what is measured
    "time of training": ("minutes per run", 60.0, lambda run: run.seconds),
    "memory": ("peak memory in GiB", 2.0**30, lambda run: run.peak_memory_bytes),
    "trained parameters": ("trained parameters in millions", 1e6, lambda run: run.num_trainable_parameters),
}


def cost_section(results: StudyResults) -> Element | None:
    """Draws the primary metric over time, memory and size.

    Returns:
        None if nothing was measured.
    """
    drawn = []
    for name, (title, unit, cost) in COSTS.items():
        points = _points(results, unit, cost)
        if points:
            chart = scatter_chart(points, title, f"mean {results.primary}")
            drawn.append(figure(f"{results.primary} and {name}", "", chart))
    if not drawn:
        return None
    note = (
        "Numbers are those of the variants in the table; lines are 95 % intervals. Times depend on the "
        "machine and on what else it did."
    )
    return section("Cost and quality", paragraph(note, "note"), facets(drawn), _table(results))


def _points(results: StudyResults, unit: float, cost: Cost) -> list[Point]:
    points = []
    for number, variant in enumerate(results.variants, start=1):
        cell, value = variant.cells.get(results.primary), _mean_cost(variant, cost)
        if cell is not None and value is not None:
            summary, interval = cell.summary, cell.summary.estimate.interval()
            points.append(Point(str(number), value / unit, summary.mean, interval, mark_of(variant)))
    return points


def _mean_cost(variant: VariantResults, cost: Cost) -> float | None:
    known = [value for run in variant.runs if (value := cost(run.outcome)) is not None]
    return mean(known) if known else None


def _table(results: StudyResults) -> Element:
    columns = [Column("variant", "name")]
    columns += [Column(name, "number") for name in ("time per run", "peak memory", "parameters", "trained")]
    rows: list[list[Element | str]] = []
    for variant in results.variants:
        costs: Sequence[Cost] = (
            lambda run: run.seconds,
            lambda run: run.peak_memory_bytes,
            lambda run: run.num_parameters,
            lambda run: run.num_trainable_parameters,
        )
        seconds, memory, parameters, trained = (_mean_cost(variant, cost) for cost in costs)
        rows.append(
            [
                variant_name(results, variant),
                NOTHING if seconds is None else duration(seconds),
                NOTHING if memory is None else f"{memory / 2**30:.2f} GiB",
                NOTHING if parameters is None else f"{parameters:,.0f}",
                NOTHING if trained is None else f"{trained:,.0f}",
            ]
        )
    return table(columns, rows, cards=True)


def duration(seconds: float) -> str:
    """Writes a time in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
