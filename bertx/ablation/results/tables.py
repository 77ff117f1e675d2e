"""The tables of a study, `table.md`, `table.tex` and `table.csv`: equal results give equal bytes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bertx.ablation.results.comparison import Cell, StudyResults, VariantResults, study_results
from bertx.ablation.results.rounding import decimals_for, rounded, rounded_p
from bertx.ablation.statistics.estimates import Estimate, Interval
from bertx.atomic import write_text

NOTHING = "-"
MARKDOWN = re.compile(r"([\\`*_\[\]|#~])")
TEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
}


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        title: What it is of.
        columns: Their heads; the first column is text, of the others numbers.
        rows: The cells.
        notes: Sentences below it.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str]


def write_tables(folder: Path) -> StudyResults:
    """Writes `table.md`, `table.tex` and `table.csv` into the folder of a study.

    Returns:
        What they show.

    Raises:
        CheckpointError: The folder holds no study, or a file in it is broken.
        DataError: A table cannot be written.
    """
    results = study_results(folder)
    table = table_of(results)
    write_text(folder / "table.md", as_markdown(table))
    write_text(folder / "table.tex", as_tex(table))
    write_text(folder / "table.csv", as_csv(results))
    return results


def table_of(results: StudyResults) -> Table:
    """Makes the table for people: numbers are rounded to what their intervals leave sure."""
    compared = any(cell.against is not None for cell in results.cells(results.primary))
    columns = ["variant", "runs", *results.metrics]
    if compared:
        columns += [f"difference in {results.primary}", "p (Holm)", "verdict"]
    decimals = {metric: metric_decimals(results, metric) for metric in results.metrics}
    rows = []
    for variant in results.variants:
        row = [variant.name + _marks(variant), f"{len(variant.runs)}/{len(variant.outcome.runs)}"]
        row += [_score(variant.cells.get(metric), decimals[metric]) for metric in results.metrics]
        if compared:
            row += _difference(variant, results.primary, decimals[results.primary])
        rows.append(row)
    return Table(results.outcome.name, columns, rows, _notes(results))


def metric_decimals(results: StudyResults, metric: str) -> int:
    """Returns with how many decimals the values of a metric are written."""
    intervals = [cell.summary.estimate.interval() for cell in results.cells(metric)]
    return decimals_for((found.high - found.low) / 2 for found in intervals if found is not None)


def _marks(variant: VariantResults) -> str:
    """Marks the comparison, and variants with runs that have not learned."""
    return " (comparison)" * variant.outcome.is_comparison + " †" * bool(variant.degenerate)


def _score(cell: Cell | None, decimals: int) -> str:
    return NOTHING if cell is None else with_interval(cell.summary.mean, cell.summary.estimate, decimals)


def with_interval(value: float, estimate: Estimate, decimals: int, *, sign: bool = False) -> str:
    """Writes a number and its 95 % interval: `0.91 [0.88, 0.94]`."""
    interval = estimate.interval()
    text = rounded(value, decimals, sign=sign)
    return text if interval is None else f"{text} {as_brackets(interval, decimals, sign=sign)}"


def as_brackets(interval: Interval, decimals: int, *, sign: bool = False) -> str:
    """Writes an interval: `[0.88, 0.94]`."""
    ends = (rounded(end, decimals, sign=sign) for end in (interval.low, interval.high))
    return f"[{', '.join(ends)}]"


def _difference(variant: VariantResults, primary: str, decimals: int) -> list[str]:
    cell = variant.cells.get(primary)
    if cell is None or cell.against is None:
        return [NOTHING, NOTHING, NOTHING]
    found = cell.against.difference
    words = NOTHING if variant.verdict is None else variant.verdict
    return [
        with_interval(found.value, found, decimals, sign=True),
        rounded_p(variant.adjusted_p_value),
        words,
    ]


def _notes(results: StudyResults) -> list[str]:
    covers = sorted({cell.summary.estimate.covers for cell in results.cells(results.primary)} - {"nothing"})
    better = "higher" if results.higher_is_better else "lower"
    notes = [
        f"Means over seeds on the {results.outcome.evaluated_on} data; {better} {results.primary} is better."
    ]
    if covers:
        notes.append(f"In brackets: 95 % intervals; those of {results.primary} cover {' or '.join(covers)}.")
    compared = [cell.against for cell in results.cells(results.primary) if cell.against is not None]
    tests = sorted({found.test for found in compared} - {"none"})
    if tests:
        notes.append(f"p: paired test ({', '.join(tests)}), Holm's correction over all variants.")
    notes += [sentence for variant in results.variants for sentence in _faults(variant)]
    return notes


def _faults(variant: VariantResults) -> list[str]:
    """Names the runs that have not learned, and those without a result."""
    sentences = [
        f"† {variant.name}, {run_name(run.outcome.seed, run.outcome.fold)}: {' and '.join(run.faults)}."
        for run in variant.degenerate
    ]
    return [*sentences, *(f"{variant.name}: {words}." for words in unfinished(variant))]


def unfinished(variant: VariantResults) -> list[str]:
    """Tells of runs of a variant that failed, each with its error, and how many have yet to be run."""
    lines = []
    for run in variant.unfinished:
        if run.status == "failed":
            lines.append(f"{run_name(run.seed, run.fold)} failed" + (f" ({run.error})" if run.error else ""))
    missing = [run_name(run.seed, run.fold) for run in variant.unfinished if run.status == "missing"]
    if missing:
        lines.append(f"{len(missing)} yet to be run ({'; '.join(missing)})")
    return lines


def run_name(seed: int, fold: int | None) -> str:
    """Names a run of a variant."""
    return f"seed {seed}" if fold is None else f"seed {seed}, fold {fold}"


def as_markdown(table: Table) -> str:
    """Writes a table as Markdown."""
    lines = [
        _markdown_row(table.columns),
        "|" + "|".join([":--", *("--:" for _ in table.columns[1:])]) + "|",
        *(_markdown_row(row) for row in table.rows),
    ]
    notes = [f"\n{_markdown(note)}" for note in table.notes]
    return "\n".join([f"# {_markdown(table.title)}", "", *lines, *notes]) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_markdown(cell) for cell in cells) + " |"


def _markdown(text: str) -> str:
    """Escapes what Markdown would take for more than text; intervals keep their brackets."""
    if re.fullmatch(r"[-+\d.,]+ \[[-+\d., ]+\]", text):
        return text
    escaped = MARKDOWN.sub(r"\\\1", " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_tex(table: Table) -> str:
    """Writes a table for LaTeX with the package booktabs."""
    rows = [" & ".join(_tex(cell) for cell in row) + r" \\" for row in table.rows]
    lines = [
        r"% \usepackage[T1]{fontenc}, \usepackage{booktabs}",
        r"\begin{tabular}{l" + "r" * (len(table.columns) - 1) + "}",
        r"\toprule",
        " & ".join(_tex(column) for column in table.columns) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        "",
        *(r"\par\noindent " + _tex(note) for note in table.notes),
    ]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    """Escapes what LaTeX would take for commands."""
    if text == NOTHING:
        return "--"
    escaped = "".join(TEX.get(character, character) for character in " ".join(text.split()))
    escaped = re.sub(r"(?<![\w.)-])-(?=\d)", "$-$", escaped.replace("†", r"\dag{}"))  # minus, no hyphen
    return f"{{}}{escaped}" if escaped[:1] == "[" else escaped  # else an argument of the \\ before it


def as_csv(results: StudyResults) -> str:
    """Writes everything with ten digits, for programs: one line for each variant and metric."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(CSV_HEADER.split(","))
    for variant in results.variants:
        for metric in results.metrics:
            table.writerow(_csv_row(results, variant, metric))
    return text.getvalue()


CSV_HEADER = (
    "variant,is_comparison,fraction,metric,seeds,runs,planned_runs,degenerate_runs,mean,standard_deviation,"
    "low,high,covers,paired_seeds,difference,difference_low,difference_high,p_value,test,"
    "permutation_p_value,cohens_d,probability_of_improvement,adjusted_p_value,verdict,seeds_needed"
)


def _csv_row(results: StudyResults, variant: VariantResults, metric: str) -> list[str]:
    cell = variant.cells.get(metric)
    row: list[object] = [variant.name, variant.outcome.is_comparison, variant.outcome.fraction, metric]
    row += [0 if cell is None else cell.num_seeds, len(variant.runs), len(variant.outcome.runs)]
    row.append(len(variant.degenerate))
    if cell is not None:
        summary = cell.summary
        row += [summary.mean, summary.standard_deviation, *_ends(summary.estimate), summary.estimate.covers]
    if cell is not None and cell.against is not None:
        found = cell.against
        row += [cell.num_pairs, found.difference.value, *_ends(found.difference), found.p_value, found.test]
        row += [found.permutation_p_value, found.cohens_d, found.probability_of_improvement]
        if metric == results.primary:
            row += [variant.adjusted_p_value, variant.verdict, variant.seeds_needed]
    row += [None] * (len(CSV_HEADER.split(",")) - len(row))
    return [_plain(value) for value in row]


def _ends(estimate: Estimate) -> tuple[float | None, float | None]:
    interval = estimate.interval()
    return (None, None) if interval is None else (interval.low, interval.high)


def _plain(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
