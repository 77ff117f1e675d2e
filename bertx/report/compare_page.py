"""`bertx compare`: two runs on the same instances, as a study of two variants with one run each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

from bertx.ablation.outcome import StudyOutcome, VariantOutcome
from bertx.ablation.results.comparison import StudyResults, results_of
from bertx.ablation.results.rounding import rounded, rounded_p
from bertx.ablation.results.tables import as_brackets, metric_decimals
from bertx.errors import DataError
from bertx.report.evaluated import Evaluated, evaluated_run
from bertx.report.markup import node, nodes
from bertx.report.page import heading, paragraph, section, write_page
from bertx.report.study.classes import classes_section, confusion_section
from bertx.report.study.explanation import explanation_section
from bertx.report.study.flips import flips_section
from bertx.report.study.table import results_table
from bertx.report.study.training import training_section
from bertx.report.study.words import trouble
from bertx.runs.diff import RunDifference, diff
from bertx.runs.weights_diff import Measure

MOST_LINES = 60  # of differences in configs and metrics


def compare_runs(
    old: Path,
    new: Path,
    page: Path,
    *,
    data: Path | None = None,
    device: str | None = None,
    include_packages: Sequence[str] = (),
) -> str:
    """Compares two runs, and writes a page about it.

    Args:
        old: A run folder or a `model.tar.gz`.
        new: Another one.
        page: The page to write.
        data: The file to evaluate both on; None: what the first was tested on, or else validated on.
        device: Where to compute; None: a GPU if there is one.
        include_packages: Modules with components of the user's own.

    Returns:
        In words, what the comparison shows.

    Raises:
        CheckpointError: One is no run, or a broken one.
        DataError: There are no data to compare them on, or the page cannot be written.
    """
    first = evaluated_run(old, data, device=device, include_packages=include_packages)
    if first.data is None:
        raise DataError(
            f"{old}: the data it was evaluated on are gone or have changed; name others with --data FILE"
        )
    second = evaluated_run(new, first.data, device=device, include_packages=include_packages)
    results = _results(first, second)
    words = summary(results, first.data)
    children = [
        heading("bertx compare", f"{_names(results)[1]} against {_names(results)[0]}"),
        paragraph(words, "summary"),
        trouble(results),
        section("Results", *results_table(results)),
        _differences(diff(old, new, Measure())),
        training_section(results),
        classes_section(results),
        confusion_section(results),
        flips_section(results, first.texts),
        explanation_section(results),
    ]
    write_page(page, f"{new} against {old}", children)
    return words


def _results(first: Evaluated, second: Evaluated) -> StudyResults:
    """Makes a study of two variants, whose runs count as a pair whatever their seeds."""
    metrics = [name for name in first.evidence.outcome.metrics if name in second.evidence.outcome.metrics]
    wanted = first.run.config.get("trainer")
    primary = str(wanted.get("validation_metric", "-loss")) if isinstance(wanted, dict) else "-loss"
    if primary[1:] not in metrics:
        primary = "+accuracy" if "accuracy" in metrics else "-loss"
    names = [str(run.path) for run in (first, second)]
    if names[0] == names[1]:
        names[1] += " again"
    variants, runs = [], {}
    for name, run in zip(names, (first, second), strict=True):
        outcome = replace(run.evidence.outcome, variant=name, seed=0)
        variants.append(VariantOutcome(name, {}, name == names[0], None, [outcome]))
        runs[name] = [replace(run.evidence, outcome=outcome)]
    study = StudyOutcome("comparison", "two runs", metrics, primary, [0], variants, "test")
    return results_of(study, first.path, runs)


def _names(results: StudyResults) -> list[str]:
    return [variant.name for variant in results.variants]


def summary(results: StudyResults, data: Path) -> str:
    """Says in words what a comparison of two runs shows."""
    base, variant = results.variants
    primary, decimals = results.primary, metric_decimals(results, results.primary)
    cell = variant.cells.get(primary)
    if cell is None or cell.against is None:
        return f"{variant.name} and {base.name} cannot be compared on {data}: no metric is common to them."
    found = cell.against
    interval = found.difference.interval()
    ends = "" if interval is None else f", 95 % interval {as_brackets(interval, decimals, sign=True)}"
    values = [rounded(one.cells[primary].summary.mean, decimals) for one in (variant, base)]
    change = rounded(found.difference.value, decimals, sign=True)
    shown = {
        "better": f"{variant.name} is shown to be better",
        "worse": f"{variant.name} is shown to be worse",
    }.get(variant.verdict or "", "No difference shown, which does not mean that there is none")
    test = "" if found.test == "none" else f" ({found.test}: p {_is(rounded_p(found.p_value))})"
    return (
        f"On {data}, {primary} is {values[0]} for {variant.name} and {values[1]} for {base.name}: a "
        f"difference of {change}{ends}. {shown}{test}. This speaks of these two trained models on other "
        "instances, not of other seeds."
    )


def _is(p_value: str) -> str:
    return p_value if p_value.startswith("<") else f"= {p_value}"


def _differences(found: RunDifference) -> Element:
    """Lists what `bertx diff` finds, of weights only how many differ."""
    parts: list[Element] = []
    for name, lines in found.documents.items():
        if name == "environment":
            continue
        shown: list[Element | str] = [node("code", None, str(line)) for line in lines[:MOST_LINES]]
        if len(lines) > MOST_LINES:
            shown.append(f"and {len(lines) - MOST_LINES:,} more: see bertx diff")
        parts.append(node("h3", None, name if lines else f"{name}: the same"))
        parts.append(node("ul", None, *nodes("li", shown)))
    different = sum(tensor.state != "same" for tensor in found.tensors)
    labels = "; ".join(f"{name}: {change}" for name, change in found.vocabulary.items()) or "the same"
    parts.append(
        paragraph(f"Weights: {different:,} of {len(found.tensors):,} tensors differ. Labels: {labels}.")
    )
    return section("What differs between the runs", *parts)
