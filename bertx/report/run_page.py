"""`bertx report` of a single run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from bertx.ablation.results.evidence import Curves, Predictions, RunEvidence
from bertx.ablation.results.instances import class_scores, confusion
from bertx.ablation.results.measuring import answers_of, find_reading, measure
from bertx.ablation.results.rounding import decimals_for, rounded
from bertx.ablation.results.tables import with_interval
from bertx.ablation.statistics.comparison import summarise
from bertx.data.instance import JSON
from bertx.report.charts.axes import Mark
from bertx.report.charts.curves import Curve, Points, banded, curves_chart, thinned
from bertx.report.charts.matrix import MOST_LABELS, matrix_chart
from bertx.report.charts.reliability import expected_calibration_error, reliability_bins, reliability_chart
from bertx.report.evaluated import Evaluated
from bertx.report.markup import node, nodes
from bertx.report.page import Column, facets, figure, heading, legend, paragraph, section, table, write_page
from bertx.report.study.table import NOTHING, minus

SPLITS = ("training", "validation", "best_validation", "test")
MOST_ERRORS = 15
MOST_CHARTS = 8


def write_run_page(found: Evaluated, page: Path) -> Path:
    """Writes a page about a run.

    Args:
        found: The run.
        page: The file.

    Returns:
        The file.

    Raises:
        DataError: It cannot be written.
    """
    name = found.path.absolute().name
    children = [
        heading("bertx run", name),
        paragraph(summary(found), "summary"),
        _trouble(found.evidence),
        _metrics_section(found.metrics),
        _training_section(found.evidence.curves),
        *_predictions_sections(found),
        _errors_section(found),
        _setting_section(found),
    ]
    return write_page(page, f"Run {name}", children)


def summary(found: Evaluated) -> str:
    """Says in one paragraph what was trained and what it reaches."""
    metrics, config = found.metrics, found.run.config
    model = config.get("model")
    kind = model.get("type", "model") if isinstance(model, dict) else model
    sentences = [f"A {kind} with {found.evidence.outcome.num_parameters or 0:,} parameters."]
    if "epoch" in metrics:
        epoch, best = metrics["epoch"], metrics.get("best_epoch")
        ended = f"Trained in {metrics.get('training_duration', 'unknown time')}, the last epoch being {epoch}"
        sentences.append(f"{ended}." if best is None else f"{ended}, and the best by validation {best}.")
    scores = _scores(found.evidence)
    if found.data is None:
        sentences.append("Its data are gone or have changed, so that single predictions are not shown.")
    elif scores:
        listed = ", ".join(f"{name} {minus(text)}" for name, text in scores.items())
        sentences.append(f"On {found.data}: {listed}; in brackets, what other instances would change (95 %).")
    return " ".join(sentences)


def _scores(run: RunEvidence) -> dict[str, str]:
    """Writes the metrics, with intervals where they are known instance by instance."""
    labels = _labels(run.predictions)
    texts = {}
    for name in run.outcome.metrics:
        reading = find_reading([run], name, labels)
        estimate = summarise(measure([[run]], name, reading, labels)).estimate
        interval = estimate.interval()
        decimals = decimals_for([] if interval is None else [(interval.high - interval.low) / 2])
        texts[name] = with_interval(estimate.value, estimate, decimals)
    return texts


def _labels(predictions: Predictions | None) -> list[str]:
    if predictions is None:
        return []
    return sorted({label for label in (*predictions.gold, *predictions.predicted) if label is not None})


def _trouble(run: RunEvidence) -> Element | None:
    if not run.faults:
        return None
    return node(
        "div", {"class": "warning"}, paragraph(f"This run is degenerate: it {' and '.join(run.faults)}.")
    )


def _metrics_section(metrics: Mapping[str, JSON]) -> Element | None:
    """Sets the metrics of `metrics.json`, a row for each and a column for each split."""
    found: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        split = next((split for split in SPLITS if key.startswith(f"{split}_")), None)
        if split is not None and isinstance(value, (int, float)) and not isinstance(value, bool):
            found.setdefault(key.removeprefix(f"{split}_"), {})[split] = value
    if not found:
        return None
    splits = [split for split in SPLITS if any(split in row for row in found.values())]
    columns = [Column("metric"), *(Column(split.replace("_", " "), "number") for split in splits)]
    rows = [
        [name, *(minus(f"{row[split]:.4g}") if split in row else NOTHING for split in splits)]
        for name, row in found.items()
    ]
    return section("Metrics", table(columns, rows))


def _training_section(curves: Curves) -> Element | None:
    """Draws losses, metrics, learning rate and gradients over steps."""
    drawn = []
    validation = curves.validations.get("loss", [])
    charts: dict[str, dict[Mark, Points]] = {
        "loss per instance": {"main": thinned(curves.losses), "base": validation},
        **{name: {"base": points} for name, points in curves.validations.items() if name != "loss"},
        "learning rate": {"main": curves.rates},
        "gradient norm": {"main": thinned(curves.grad_norms)},
    }
    for name, series in list(charts.items())[:MOST_CHARTS]:
        found = [banded(mark, [points]) for mark, points in series.items()]
        known: list[Curve] = [curve for curve in found if curve is not None]
        if known:
            last = max(point[0] for curve in known for point in curve.points)
            chart = curves_chart(known, "optimizer steps", name, x_span=(0.0, last))
            drawn.append(node("figure", None, chart))
    if not drawn:
        return None
    marks: dict[str, Mark] = {"training": "main", "validation": "base"}
    return section("How training went", legend(marks), facets(drawn))


def _predictions_sections(found: Evaluated) -> list[Element | None]:
    predictions = found.evidence.predictions
    answers = answers_of([[found.evidence]], _labels(predictions))
    if predictions is None or answers is None:
        return []
    rows: list[list[Element | str]] = [
        [one.label, f"{one.support:,}", *(rounded(value, 3) for value in (one.precision, one.recall, one.f1))]
        for one in class_scores(answers)
    ]
    columns = [Column("class"), *(Column(n, "number") for n in ("instances", "precision", "recall", "F1"))]
    drawn = []
    if 2 <= len(answers.labels) <= MOST_LABELS:
        chart = matrix_chart(answers.labels, confusion(answers), differences=False)
        drawn.append(figure("What is taken for what", "", chart))
    known = [confidence for confidence in predictions.confidences if confidence is not None]
    if known and len(known) == len(predictions.ids):
        bins = reliability_bins(known, predictions.hits)
        error = rounded(expected_calibration_error(bins), 3)
        drawn.append(
            figure("Is it right as often as it is sure?", f"mean gap {error}", reliability_chart(bins))
        )
    return [
        section("Classes", table(columns, rows)),
        section("Predictions", facets(drawn)) if drawn else None,
    ]


def _errors_section(found: Evaluated) -> Element | None:
    """Lists the wrong predictions that the model is surest of."""
    predictions = found.evidence.predictions
    if predictions is None:
        return None
    rows = zip(
        found.evidence.keys, predictions.gold, predictions.predicted, predictions.confidences, strict=True
    )
    wrong = [row for row in rows if row[1] is not None and row[1] != row[2]]
    if not wrong:
        return None
    surest = sorted(wrong, key=lambda row: -(row[3] or 0.0))[:MOST_ERRORS]
    columns = [
        Column("instance", "text"),
        Column("gold"),
        Column("predicted"),
        Column("confidence", "number"),
    ]
    cells: list[Sequence[Element | str]] = [
        [found.texts.get(key, key[1]), gold or NOTHING, guess, NOTHING if sure is None else rounded(sure, 3)]
        for key, gold, guess, sure in surest
    ]
    told = (
        f"{len(wrong):,} of {len(predictions.ids):,} predictions are wrong; these are those it is surest of."
    )
    return section("Errors", paragraph(told, "note"), table(columns, cells, cards=True))


def _setting_section(found: Evaluated) -> Element:
    """Says with what it was trained, and shows the config."""
    environment = found.run.environment
    hardware, packages = environment.get("hardware"), environment.get("packages")
    lines: list[Element | str] = []
    if isinstance(hardware, dict):
        lines.append(f"{hardware.get('cpu')}, {hardware.get('cpu_count')} cores")
    if isinstance(packages, dict):
        names = ("bertx", "torch", "tokenizers", "numpy")
        lines.append(", ".join(f"{name} {packages[name]}" for name in names if name in packages))
    data = environment.get("data")
    for split, file in data.items() if isinstance(data, dict) else ():
        if isinstance(file, dict):
            lines.append(f"{split}: {file.get('instances')} instances of {file.get('path')}")
    config = node(
        "pre", None, node("code", None, json.dumps(dict(found.run.config), indent=2, ensure_ascii=False))
    )
    folded = node("details", None, node("summary", None, "the resolved config"), config)
    return section("How it was made", node("ul", None, *nodes("li", lines)), folded)
