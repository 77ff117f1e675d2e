"""What a study has found, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from bertx.ablation.results.comparison import StudyResults, VariantResults
from bertx.ablation.results.rounding import rounded
from bertx.ablation.results.tables import as_brackets, metric_decimals, run_name, unfinished
from bertx.report.markup import node, nodes
from bertx.report.page import paragraph
from bertx.report.study.table import minus

MOST_NAMES = 6  # in a sentence


def summary(results: StudyResults) -> str:
    """Says in one paragraph what was compared and what was shown."""
    outcome = results.outcome
    seeds = _count(len(outcome.seeds), "seed")
    finished = sum(len(variant.runs) for variant in results.variants)
    planned = sum(len(variant.outcome.runs) for variant in results.variants)
    sentences = [
        f"{_count(len(results.variants), 'variant')} with {seeds} each: {finished} of "
        f"{_count(planned, 'run')} finished. What decides is {results.primary} on the {outcome.evaluated_on} "
        f"data; {'higher' if results.higher_is_better else 'lower'} is better."
    ]
    base = results.comparison
    if base is None or outcome.design == "search":
        sentences += _leader(results)
    if base is None:
        return " ".join(sentences)
    for words, verb in (("better", "better"), ("worse", "worse")):
        found = [variant for variant in results.variants if variant.verdict == words]
        if found:
            sentences.append(f"Shown to be {verb} than {base.name}: {_listed(results, found)}.")
    open_ones = [variant for variant in results.variants if variant.verdict == "no difference shown"]
    if open_ones:
        sentences.append(
            f"No difference to {base.name} shown: {_listed(results, open_ones)}. That is not the same as "
            "being equal: every difference inside of an interval remains possible."
        )
    if not any(variant.verdict for variant in results.variants):
        sentences.append("There is nothing yet that could be compared.")
    return " ".join(sentences)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"


def _leader(results: StudyResults) -> list[str]:
    """Names the variant with the best mean."""
    known = [variant for variant in results.variants if results.primary in variant.cells]
    if not known:
        return []
    sign = 1 if results.higher_is_better else -1
    best = max(known, key=lambda variant: sign * variant.cells[results.primary].summary.mean)
    value = rounded(best.cells[results.primary].summary.mean, metric_decimals(results, results.primary))
    alone = "" if results.comparison else "; no variant is compared to another one"
    return [f"The best mean is that of {best.name}, {minus(value)}{alone}."]


def _listed(results: StudyResults, variants: Sequence[VariantResults]) -> str:
    decimals = metric_decimals(results, results.primary)
    parts = []
    for variant in variants[:MOST_NAMES]:
        against = variant.cells[results.primary].against
        if against is None:
            continue
        interval = against.difference.interval()
        value = rounded(against.difference.value, decimals, sign=True)
        ends = "" if interval is None else f" {as_brackets(interval, decimals, sign=True)}"
        parts.append(f"{variant.name} ({minus(value + ends)})")
    more = f" and {len(variants) - MOST_NAMES} more" if len(variants) > MOST_NAMES else ""
    return ", ".join(parts) + more


def trouble(results: StudyResults) -> Element | None:
    """Names runs that failed, are missing, or have not learned; None if there are none."""
    lines: list[Element | str] = []
    for variant in results.variants:
        lines += [f"{variant.name}: {words}" for words in unfinished(variant)]
        lines += [
            f"{variant.name}, {run_name(run.outcome.seed, run.outcome.fold)} is degenerate: "
            f"{' and '.join(run.faults)}"
            for run in variant.degenerate
        ]
    if not lines:
        return None
    advice = (
        "Means and tests include degenerate runs, since dropping runs for their results would flatter a "
        "variant; runs without a result are left out, together with their partners in paired tests."
    )
    return node("div", {"class": "warning"}, node("ul", None, *nodes("li", lines)), paragraph(advice, "note"))
