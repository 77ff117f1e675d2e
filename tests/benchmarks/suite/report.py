"""The report: Markdown tables, and JSON with every figure of every round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.benchmarks.suite.rounds import Results
from tests.benchmarks.suite.verdicts import Judged, judge, median_figure
from tests.benchmarks.suite.workload import System, Workload


def as_markdown(workload: Workload, systems: Sequence[System], results: Results) -> str:
    """Returns a workload's tables."""
    judged = [judge(comparison, results.rounds) for comparison in workload.comparisons]
    parts = [f"## {workload.name}", workload.about, f"Medians of {len(results.rounds)} rounds.".strip()]
    parts.append(_table(["system", *_titles(workload)], [_row(workload, one, results) for one in systems]))
    parts += [f"`{name}` {why}" for name, why in results.absent.items()]
    if judged:
        head = ["comparison, round by round", "average", "from", "to", "goal", "verdict"]
        parts.append(_table(head, [_judged_row(one) for one in judged]))
    return "\n\n".join(parts) + "\n"


def as_json(workload: Workload, systems: Sequence[System], results: Results) -> dict[str, object]:
    """Returns all that was found."""
    return {
        "workload": workload.name,
        "about": workload.about,
        "settings": {one.name: {"function": one.function, **one.settings} for one in systems},
        "absent": results.absent,
        "rounds": results.rounds,
        "medians": {one.name: _medians(results, one.name) for one in systems},
        "comparisons": [_judged_json(judge(one, results.rounds)) for one in workload.comparisons],
    }


def _medians(results: Results, system: str) -> Mapping[str, float | None]:
    figures = {figure for found in results.rounds for figure in found.get(system, {})}
    return {figure: median_figure(results.rounds, system, figure) for figure in sorted(figures)}


def _judged_json(one: Judged) -> dict[str, object]:
    return {
        "text": one.text,
        "average": one.value,
        "rounds": list(one.values),
        "goal": one.goal,
        "verdict": one.verdict,
    }


def _titles(workload: Workload) -> list[str]:
    return [column.title for column in workload.columns]


def _row(workload: Workload, system: System, results: Results) -> list[str]:
    name = f"{system.name} ({system.note})" if system.note else system.name
    if system.name in results.absent:
        # "not installed" or "failed"; the whole is told below the table.
        return [name, results.absent[system.name].partition(":")[0], *[""] * (len(workload.columns) - 1)]
    cells = []
    for column in workload.columns:
        found = median_figure(results.rounds, system.name, column.figure)
        cells.append("" if found is None else f"{found:,.{column.decimals}f}")
    return [name, *cells]


def _judged_row(one: Judged) -> list[str]:
    if one.value is None:
        return [one.text, "", "", "", one.goal, one.verdict]
    numbers = [f"{number:,.3g}" for number in (one.value, min(one.values), max(one.values))]
    return [one.text, *numbers, one.goal, one.verdict]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    lines = [_line(head, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
