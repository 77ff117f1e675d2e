"""The page of a study, `report.html`."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from bertx.ablation.outcome import STUDY
from bertx.ablation.results.comparison import StudyResults
from bertx.ablation.results.evidence import Key
from bertx.report.page import heading, paragraph, section, write_page
from bertx.report.study.classes import classes_section, confusion_section
from bertx.report.study.cost import cost_section
from bertx.report.study.explanation import explanation_section
from bertx.report.study.flips import flips_section
from bertx.report.study.table import results_table, shown_variants
from bertx.report.study.training import fractions_section, training_section
from bertx.report.study.words import summary, trouble
from bertx.report.texts import instance_texts

PAGE = "report.html"


def is_study(folder: Path) -> bool:
    """Tells whether a folder is that of a study."""
    return (folder / STUDY).is_file()


def write_study_page(results: StudyResults, page: Path | None = None) -> Path:
    """Writes the page of a study.

    Args:
        results: What `write_tables` returns.
        page: The file; None: `report.html` in the study's folder.

    Returns:
        The file.

    Raises:
        DataError: It cannot be written.
    """
    outcome = results.outcome
    title = f"Study {outcome.name}"
    children = [
        heading(f"bertx study, design {outcome.design}", outcome.name),
        paragraph(summary(results), "summary"),
        trouble(results),
        section("Results", *results_table(results)),
        _cut(results),
        fractions_section(results),
        training_section(results),
        classes_section(results),
        confusion_section(results),
        flips_section(results, _texts(results)),
        cost_section(results),
        explanation_section(results),
    ]
    return write_page(page or results.folder / PAGE, title, children)


def _cut(results: StudyResults) -> Element | None:
    """Says which variants are shown in detail, if not all are."""
    shown = shown_variants(results)
    if len(shown) == len(results.variants):
        return None
    told = f"Below, of {len(results.variants)} variants the best and the comparison are shown: {len(shown)}."
    return paragraph(told, "note")


def _texts(results: StudyResults) -> dict[Key, str]:
    """Reads the texts of all folds, of each from the first run that has them."""
    found: dict[Key, str] = {}
    folds = {run.outcome.fold for variant in results.variants for run in variant.runs}
    for fold in folds:
        runs = [run for variant in results.variants for run in variant.runs if run.outcome.fold == fold]
        for run in runs[:2]:
            texts = instance_texts(results.folder / run.outcome.folder, results.outcome.evaluated_on)
            if texts:
                found |= {(fold, name): text for name, text in texts.items()}
                break
    return found
