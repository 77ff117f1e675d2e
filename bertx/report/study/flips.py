"""The instances about which the variants disagree."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from bertx.ablation.results.comparison import StudyResults
from bertx.ablation.results.evidence import Key
from bertx.ablation.results.instances import Flip, most_flipped
from bertx.report.markup import node
from bertx.report.page import Column, paragraph, section, table
from bertx.report.study.table import NOTHING, shown_variants

MOST_INSTANCES = 15
MOST_LETTERS = 400


def flips_section(results: StudyResults, texts: Mapping[Key, str]) -> Element | None:
    """Lists the instances whose prediction flips most often.

    Args:
        results: The study.
        texts: What the instances say, as far as their file is still there.

    Returns:
        None if none does.
    """
    flips = most_flipped(results, MOST_INSTANCES)
    base = results.comparison
    if not flips or base is None:
        return None
    shown = shown_variants(results)
    names = {variant.name: results.variants.index(variant) + 1 for variant in shown}
    columns = [Column("instance", "text"), Column("gold"), Column("flips", "number")]
    columns += [Column(f"{number} {name}") for name, number in names.items()]
    rows = []
    for flip in flips:
        row: list[Element | str] = [
            _instance(flip, texts),
            flip.gold or NOTHING,
            f"{flip.num_flips}/{flip.num_pairs}",
        ]
        rows.append([*row, *(_votes(flip, name) for name in names)])
    told = (
        f"A flip is another prediction than that of {base.name} with the same seed; under each variant, how "
        "many of its runs predict what. Wrong predictions are orange. Degenerate runs do not count here."
    )
    lost = "" if texts else " The texts are not shown, since their file is no longer where it was."
    return section("Predictions that flip", paragraph(told + lost, "note"), table(columns, rows, cards=True))


def _instance(flip: Flip, texts: Mapping[Key, str]) -> Element:
    fold, name = flip.key
    title = name if fold is None else f"{name} (fold {fold})"
    text = texts.get(flip.key)
    if text is None:
        return node("code", None, title)
    words = text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "\u2026"
    return node("span", None, words, node("span", {"class": "changes"}, node("code", None, title)))


def _votes(flip: Flip, variant: str) -> Element | str:
    given = flip.votes.get(variant)
    if not given:
        return NOTHING
    parts: list[Element] = []
    for label, count in given.items():
        kind = "vote" if label == flip.gold else "vote wrong"
        parts.append(node("span", {"class": kind}, f"{count} {label}"))
    return node("span", None, *parts)
