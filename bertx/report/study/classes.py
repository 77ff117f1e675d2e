"""Which classes a variant finds better or worse, and what it takes for what."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from bertx.ablation.results.comparison import StudyResults
from bertx.ablation.results.instances import ClassScores, class_scores, confusion, paired_answers
from bertx.ablation.results.rounding import rounded
from bertx.ablation.statistics.measurements import Floats
from bertx.report.charts.matrix import MOST_LABELS, matrix_chart
from bertx.report.charts.strips import change_bar
from bertx.report.markup import node
from bertx.report.page import Column, facets, figure, paragraph, section, table
from bertx.report.study.table import minus, shown_variants, variant_name

MOST_CLASSES = 12  # of many classes those that have changed most
MOST_CELLS = 10
DECIMALS = 3


def classes_section(results: StudyResults) -> Element | None:
    """Compares precision, recall and F1 of every class with the comparison's.

    Returns:
        None if there is nothing to compare class by class.
    """
    found = []
    for variant in shown_variants(results):
        paired = paired_answers(results, variant)
        if paired is not None:
            found.append((variant, class_scores(paired[0]), class_scores(paired[1])))
    if not found or results.comparison is None:
        return None
    changes = [
        abs(new.f1 - old.f1) for _, before, after in found for old, new in zip(before, after, strict=True)
    ]
    parts = [
        node(
            "div",
            None,
            node("h3", None, variant_name(results, variant)),
            class_table(before, after, max(changes)),
        )
        for variant, before, after in found
    ]
    note = (
        f"Means over the seeds that both have, and the change from {results.comparison.name}. Of more than "
        f"{MOST_CLASSES} classes those whose F1 changes most. Not tested."
    )
    return section("Changes by class", paragraph(note, "note"), facets(parts, wide=True))


def class_table(before: Sequence[ClassScores], after: Sequence[ClassScores], largest: float) -> Element:
    """Sets the scores of every class, and below them how they have changed.

    Args:
        before: Of the comparison.
        after: Of the variant, in the same order.
        largest: The largest change of F1 that a bar has room for.
    """
    columns = [Column("class"), Column("instances", "number")]
    columns += [Column(name, "number") for name in ("precision", "recall", "F1")]
    columns.append(Column("change of F1"))
    pairs = sorted(zip(before, after, strict=True), key=lambda pair: -abs(pair[1].f1 - pair[0].f1))
    shown = sorted(pairs[:MOST_CLASSES], key=lambda pair: pair[0].label)
    rows: list[list[Element | str]] = []
    for old, new in shown:
        row: list[Element | str] = [new.label, f"{new.support:,}"]
        for score in ("precision", "recall", "f1"):
            row.append(_changed(getattr(old, score), getattr(new, score)))
        rows.append([*row, change_bar(new.f1 - old.f1, largest, "main" if new.f1 >= old.f1 else "bad")])
    return table(columns, rows)


def _changed(old: float, new: float) -> Element:
    change = minus(rounded(new - old, DECIMALS, sign=True))
    return node("span", None, rounded(new, DECIMALS), node("span", {"class": "range"}, change))


def confusion_section(results: StudyResults) -> Element | None:
    """Shows the comparison's confusion, and how that of every variant differs.

    Returns:
        None if there is nothing to compare.
    """
    pairs = [(variant, paired_answers(results, variant)) for variant in shown_variants(results)]
    known = [(variant, paired) for variant, paired in pairs if paired is not None]
    base = results.comparison
    if not known or base is None or len(results.labels) < 2:
        return None
    cells = confusion(known[0][1][0])
    if len(results.labels) > MOST_LABELS:
        return section("What is taken for what", *_lists(results))
    first = matrix_chart(results.labels, cells, differences=False)
    drawn = [figure(base.name, "instances in the mean of runs", first)]
    for variant, paired in known:
        change = confusion(paired[1]) - confusion(paired[0])
        number = results.variants.index(variant) + 1
        chart = matrix_chart(results.labels, change, differences=True)
        drawn.append(figure(f"{number} {variant.name}", f"minus {base.name}", chart))
    note = "Differences: blue cells are for the better (more right, fewer wrong), orange ones for the worse."
    return section("What is taken for what", paragraph(note, "note"), facets(drawn))


def _lists(results: StudyResults) -> list[Element]:
    """Lists the errors that change most, where a matrix would be too large to read."""
    parts: list[Element] = []
    for variant in shown_variants(results):
        paired = paired_answers(results, variant)
        if paired is None:
            continue
        parts.append(node("h3", None, variant_name(results, variant)))
        parts.append(_changes(results.labels, confusion(paired[0]), confusion(paired[1])))
    note = f"The {MOST_CELLS} kinds of errors whose number changes most, in the mean of runs."
    return [paragraph(note, "note"), *parts]


def _changes(labels: Sequence[str], before: Floats, after: Floats) -> Element:
    size = range(len(labels))
    errors = [(row, column) for row in size for column in size if row != column]
    largest = sorted(errors, key=lambda cell: -abs(float(after[cell] - before[cell])))[:MOST_CELLS]
    rows: list[list[Element | str]] = [
        [
            labels[cell[0]],
            labels[cell[1]],
            rounded(float(before[cell]), 1),
            rounded(float(after[cell]), 1),
            minus(rounded(float(after[cell] - before[cell]), 1, sign=True)),
        ]
        for cell in largest
    ]
    columns = [Column("gold", "name"), Column("predicted")]
    columns += [Column(name, "number") for name in ("comparison", "variant", "change")]
    return table(columns, rows)
