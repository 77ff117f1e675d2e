"""The first part of the page: what was found, in words and as a table with intervals drawn."""

from __future__ import annotations

import json
from xml.etree.ElementTree import Element

from bertx.ablation.results.comparison import Cell, StudyResults, VariantResults
from bertx.ablation.results.rounding import rounded, rounded_p
from bertx.ablation.results.tables import as_brackets, metric_decimals
from bertx.ablation.statistics.estimates import Estimate
from bertx.ablation.statistics.sample_size import MOST_SEEDS
from bertx.data.instance import JSON
from bertx.report.charts.axes import Mark, Scale, span
from bertx.report.charts.strips import interval_strip, strip_axis, strip_scale
from bertx.report.markup import node
from bertx.report.page import Column, number_with_range, paragraph, table

NOTHING = "\u2013"
MOST_VARIANTS = 9  # that are shown beyond the table; of more the comparison and the best
SEEDS_NEEDED = (
    "Hollow dots: no difference shown. Seeds needed: with how many a true difference as large as the one "
    "found would be shown with a probability of 80 %."
)


def minus(text: str) -> str:
    """Sets a number with a proper minus sign."""
    return text.replace("-", "\u2212")


def number(value: float, estimate: Estimate, decimals: int, *, sign: bool = False) -> Element | str:
    """Sets a number with its interval below it."""
    interval = estimate.interval()
    shown = None if interval is None else minus(as_brackets(interval, decimals, sign=sign))
    return number_with_range(minus(rounded(value, decimals, sign=sign)), shown)


def shown_variants(results: StudyResults) -> list[VariantResults]:
    """Returns the variants that are shown in detail."""
    if len(results.variants) <= MOST_VARIANTS:
        return results.variants
    return results.foremost(MOST_VARIANTS)


def variant_name(results: StudyResults, variant: VariantResults, *, changes: bool = False) -> Element:
    """Sets the name of a variant after its number, which it has in all charts."""
    badge = node("span", {"class": "badge"}, str(results.variants.index(variant) + 1))
    below = None
    if changes and (variant.outcome.changes or variant.outcome.is_comparison):
        words = ", ".join(f"{key} = {_shown(value)}" for key, value in variant.outcome.changes.items())
        is_base = "what the others are compared to" if variant.outcome.is_comparison else ""
        told = "; ".join(part for part in (words, is_base) if part)
        below = node("span", {"class": "changes"}, told if len(told) <= 200 else told[:199] + "\u2026")
    return node("span", None, badge, variant.name, below)


def _shown(value: JSON) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def mark_of(variant: VariantResults) -> Mark:
    """Returns the colour of a variant: by what it has been shown to be."""
    if variant.outcome.is_comparison:
        return "base"
    return "bad" if variant.verdict == "worse" else "main"


def results_table(results: StudyResults) -> list[Element]:
    """Makes the table of the primary metric, and one of the other metrics."""
    others = [metric for metric in results.metrics if metric != results.primary]
    parts = [_primary_table(results)]
    if len(results.outcome.seeds) > 1 and any(variant.verdict for variant in results.variants):
        parts.append(paragraph(SEEDS_NEEDED, "note"))
    return [*parts, *([_other_table(results, others)] if others else [])]


def _primary_table(results: StudyResults) -> Element:
    primary, decimals = results.primary, metric_decimals(results, results.primary)
    values, differences = _value_scale(results), _difference_scale(results)
    several_seeds = differences is not None and len(results.outcome.seeds) > 1
    columns = [
        Column("variant", "name"),
        Column("runs", "number"),
        Column(f"mean {primary}", "number"),
        Column("95 % interval", axis=strip_axis(values, primary)),
    ]
    if differences is not None:
        columns += [
            Column("difference", "number"),
            Column("its 95 % interval", axis=strip_axis(differences, "difference")),
            Column("p (Holm)", "number"),
            Column("shown", "words"),
        ]
    if several_seeds:
        columns.append(Column("seeds needed", "number"))
    rows = []
    for variant in results.variants:
        cell = variant.cells.get(primary)
        runs = f"{len(variant.runs)}/{len(variant.outcome.runs)}"
        row: list[Element | str] = [variant_name(results, variant, changes=True), runs]
        row += _value_cells(results, variant, values, decimals)
        if differences is not None:
            row += _difference_cells(variant, cell, differences, decimals)
        if several_seeds:
            row.append(_seeds_needed(variant, cell))
        rows.append(row)
    return table(columns, rows, cards=True)


def _value_cells(
    results: StudyResults, variant: VariantResults, scale: Scale, decimals: int
) -> list[Element | str]:
    cell = variant.cells.get(results.primary)
    if cell is None:
        return [NOTHING, NOTHING]
    base = None if results.comparison is None else results.comparison.cells.get(results.primary)
    zero = None if base is None else base.summary.mean
    estimate = cell.summary.estimate
    drawn = interval_strip(
        scale, cell.summary.mean, estimate.interval(), mark_of(variant), zero, hollow=_is_open(variant)
    )
    return [number(cell.summary.mean, estimate, decimals), drawn]


def _difference_cells(
    variant: VariantResults, cell: Cell | None, scale: Scale, decimals: int
) -> list[Element | str]:
    if cell is None or cell.against is None:
        return [NOTHING] * 4
    found = cell.against.difference
    kind = {"class": variant.verdict} if variant.verdict in ("better", "worse") else None
    return [
        number(found.value, found, decimals, sign=True),
        interval_strip(scale, found.value, found.interval(), mark_of(variant), 0.0, hollow=_is_open(variant)),
        rounded_p(variant.adjusted_p_value),
        node("span", kind, variant.verdict or NOTHING),
    ]


def _seeds_needed(variant: VariantResults, cell: Cell | None) -> str:
    if variant.seeds_needed is not None:
        return f"{variant.seeds_needed:,}"
    if cell is None or cell.against is None:
        return NOTHING
    found = cell.against.difference
    return f"over {MOST_SEEDS:,}" if found.seed_variance is not None and found.value else NOTHING


def _is_open(variant: VariantResults) -> bool:
    return variant.verdict == "no difference shown"


def _value_scale(results: StudyResults) -> Scale:
    cells = results.cells(results.primary)
    return strip_scale(span(_ends([(cell.summary.mean, cell.summary.estimate) for cell in cells])))


def _difference_scale(results: StudyResults) -> Scale | None:
    found = [cell.against.difference for cell in results.cells(results.primary) if cell.against is not None]
    if not found:
        return None
    return strip_scale(span([0.0, *_ends([(difference.value, difference) for difference in found])]))


def _ends(found: list[tuple[float, Estimate]]) -> list[float]:
    ends = [value for value, _ in found]
    for _, estimate in found:
        interval = estimate.interval()
        ends += [] if interval is None else [interval.low, interval.high]
    return ends


def _other_table(results: StudyResults, metrics: list[str]) -> Element:
    columns = [Column("variant", "name")]
    for metric in metrics:
        columns.append(Column(f"mean {metric}", "number"))
        if results.comparison is not None:
            columns.append(Column(f"difference in {metric}", "number"))
    rows = []
    for variant in results.variants:
        row: list[Element | str] = [variant_name(results, variant)]
        for metric in metrics:
            cell, decimals = variant.cells.get(metric), metric_decimals(results, metric)
            against = None if cell is None else cell.against
            row.append(
                NOTHING if cell is None else number(cell.summary.mean, cell.summary.estimate, decimals)
            )
            if results.comparison is not None:
                row.append(
                    NOTHING
                    if against is None
                    else number(against.difference.value, against.difference, decimals, sign=True)
                )
        rows.append(row)
    return node(
        "div",
        None,
        node("h3", None, "Other metrics"),
        paragraph("These were not tested: one metric decides, the others only describe.", "note"),
        table(columns, rows, cards=True),
    )
