"""How the trainings of the variants went, each beside the comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

from bertx.ablation.results.comparison import StudyResults
from bertx.ablation.results.evidence import Curves, RunEvidence
from bertx.ablation.results.rounding import rounded
from bertx.ablation.results.tables import metric_decimals
from bertx.report.charts.axes import Mark, span
from bertx.report.charts.curves import Curve, Points, banded, curves_chart, thinned
from bertx.report.page import facets, figure, legend, paragraph, section
from bertx.report.study.table import minus, shown_variants

MOST_LOSS_POINTS = 30  # the loss of single batches hides the curve


def training_section(results: StudyResults) -> Element | None:
    """Draws the metric on the validation data and the training loss of every variant.

    Returns:
        None if no run has a log.
    """
    groups = [
        _charts(results, f"{results.primary} (validation data)", _validations(results.primary)),
        _charts(results, "training loss (smoothed)", _losses),
    ]
    if max(len(charts) for charts in groups) == 1:  # one variant: both charts in one row
        groups = [[chart for charts in groups for chart in charts]]
    drawn = [facets(charts) for charts in groups if charts]
    if not drawn:
        return None
    marks: dict[str, Mark] = {"the variant: mean over its runs": "main"}
    if results.comparison is not None:
        marks[f"{results.comparison.name}, what it is compared to"] = "base"
    note = (
        "Bands reach from the lowest to the highest run; they are no intervals. Axes are chosen for runs "
        "that have learned: what leaves the picture is drawn at its border."
    )
    return section("How training went", legend(marks), paragraph(note, "note"), *drawn)


def _validations(metric: str) -> Callable[[Curves], Points]:
    return lambda curves: curves.validations.get(metric, [])


def _losses(curves: Curves) -> Points:
    return thinned(curves.losses, MOST_LOSS_POINTS)


def _charts(results: StudyResults, title: str, points: Callable[[Curves], Points]) -> list[Element]:
    """Draws a chart for each variant; all have the same axes."""
    known = [
        variant for variant in shown_variants(results) if _curve("main", variant.runs, points) is not None
    ]
    everything = [run for variant in known for run in variant.runs]
    learned = [run for run in everything if not run.faults] or everything
    found = [point for run in learned for point in points(run.curves)]
    if not found:
        return []
    ends = (min(0.0, *(step for step, _ in found)), max(step for step, _ in found))
    heights = span(value for _, value in found)
    base = results.comparison
    below = None if base is None else _curve("base", base.runs, points)
    drawn = []
    for variant in known:
        if variant is base and len(known) > 1:
            continue
        curves = [below if variant is not base else None, _curve("main", variant.runs, points)]
        chart = curves_chart(
            [curve for curve in curves if curve is not None],
            "optimizer steps",
            title,
            y_span=heights,
            x_span=ends,
        )
        drawn.append(figure(f"{results.variants.index(variant) + 1} {variant.name}", "", chart))
    return drawn


def _curve(mark: Mark, runs: Sequence[RunEvidence], points: Callable[[Curves], Points]) -> Curve | None:
    return banded(mark, [points(run.curves) for run in runs])


def fractions_section(results: StudyResults) -> Element | None:
    """Draws the learning curve of a study of parts of the training data.

    Returns:
        None if the study is none.
    """
    rows: list[tuple[float, float, float, float]] = []
    for variant in results.variants:
        cell, fraction = variant.cells.get(results.primary), variant.outcome.fraction
        if cell is None or fraction is None:
            continue
        interval, mean = cell.summary.estimate.interval(), cell.summary.mean
        ends = (mean, mean) if interval is None else (interval.low, interval.high)
        rows.append((fraction, ends[0], mean, ends[1]))
    if len(rows) < 2:
        return None
    rows.sort()
    chart = curves_chart(
        [Curve("main", rows, dots=True)],
        "part of the training data (logarithmic)",
        f"mean {results.primary}",
        log_x=True,
        x_ticks=_ticks([row[0] for row in rows]),
    )
    first, last = rows[0], rows[-1]
    decimals = metric_decimals(results, results.primary)
    told = (
        f"From {first[0]:g} to {last[0]:g} of the training data, {results.primary} goes from "
        f"{minus(rounded(first[2], decimals))} to {minus(rounded(last[2], decimals))}; the last step, from "
        f"{rows[-2][0]:g} to {last[0]:g}, is {minus(rounded(last[2] - rows[-2][2], decimals, sign=True))}. "
        "The band is the 95 % interval."
    )
    return section("How much data", paragraph(told), facets([figure("Learning curve", "", chart)]))


def _ticks(fractions: Sequence[float]) -> list[tuple[float, str]]:
    """Names the fractions themselves, those that stand too close left out."""
    kept: list[float] = []
    for fraction in reversed(fractions):
        if not kept or kept[-1] / fraction >= (fractions[-1] / fractions[0]) ** 0.1:
            kept.append(fraction)
    return [(fraction, f"{fraction:g}") for fraction in kept]
