"""How the numbers of the page were computed."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from bertx.ablation.results.comparison import StudyResults
from bertx.ablation.results.tables import metric_decimals
from bertx.ablation.statistics.estimates import Covers
from bertx.ablation.statistics.sample_size import seeds_needed
from bertx.report.markup import node, nodes
from bertx.report.page import Column, section, table
from bertx.report.study.table import variant_name

SIZES = (1, 2, 5)  # of the differences to plan for, in units of a power of ten


COVERED: dict[Covers, str] = {
    "seeds and instances": "95 % intervals cover what other seeds and other instances of the same kind would "
    "change.",
    "seeds": "95 % intervals cover what other seeds would change; of other instances nothing is known.",
    "instances": "95 % intervals cover what other instances of the same kind would change, but not other "
    "seeds.",
    "nothing": "There are no intervals: one seed, and nothing is known of single instances.",
}


def explanation_section(results: StudyResults) -> Element:
    """Tells of tests, intervals and corrections, and how many seeds which difference would need."""
    lines = _lines(results)
    return section("How it was computed", node("ul", None, *nodes("li", lines)), _planning(results))


def _lines(results: StudyResults) -> list[str]:
    cells = results.cells(results.primary)
    covers: list[Covers] = sorted({cell.summary.estimate.covers for cell in cells})
    tests = sorted({cell.against.test for cell in cells if cell.against is not None} - {"none"})
    lines = [
        f"A run counts with its best weights by validation, on the {results.outcome.evaluated_on} data.",
        *(f"{COVERED[kind]} They are t intervals." for kind in covers),
    ]
    if tests:
        lines.append(
            f"Differences are paired: the same seeds, and where possible the same instances. Test: "
            f"{', '.join(tests)}; Holm's correction over all variants, so that a false difference anywhere "
            "in the study has a probability of at most 5 %."
        )
    if results.by_instance:
        names = ", ".join(results.by_instance)
        lines.append(f"Recomputed from single predictions, and found equal to what the runs report: {names}.")
    others = [metric for metric in results.metrics if metric not in results.by_instance]
    if others:
        lines.append(f"Known per run only, so that intervals cover seeds only: {', '.join(others)}.")
    if any(run.outcome.fold is not None for variant in results.variants for run in variant.runs):
        lines.append("Cross-validation: the folds of a seed together make one score.")
    lines.append(
        "A run is called degenerate if it predicts one class for all instances, or if the last third of its "
        "training loss is less than 1 % below the first third."
    )
    return lines


def _planning(results: StudyResults) -> Element | None:
    """Says how many seeds differences of several sizes would need."""
    sizes = _sizes(results)
    rows: list[list[Element | str]] = []
    for variant in results.variants:
        cell = variant.cells.get(results.primary)
        if cell is None or cell.against is None or cell.against.difference.seed_variance is None:
            continue
        needed = [seeds_needed(cell.against.difference, size) for size in sizes]
        counts = ["more than 10,000" if count is None else f"{count:,}" for count in needed]
        rows.append([variant_name(results, variant), *counts])
    if not rows:
        return None
    columns = [Column("variant", "name"), *(Column(f"difference of {size:g}", "number") for size in sizes)]
    return node(
        "div",
        None,
        node("h3", None, "Seeds needed to show a difference, with a probability of 80 %"),
        table(columns, rows, cards=True),
        node(
            "p",
            {"class": "note"},
            "With the test instances as they are. Where no number of seeds is enough, more instances are "
            "needed.",
        ),
    )


def _sizes(results: StudyResults) -> list[float]:
    """Chooses differences that are as large as the last digits of the table."""
    unit = 10.0 ** (1 - metric_decimals(results, results.primary))
    return [round(size * unit, 9) for size in SIZES]
