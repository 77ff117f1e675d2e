"""Confusion of labels, and how it differs between two variants."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from bertx.ablation.results.rounding import rounded
from bertx.ablation.statistics.measurements import Floats
from bertx.report.charts.axes import WIDTH, fixed, picture, text
from bertx.report.markup import node

MOST_LABELS = 8  # more do not fit into the width of a chart; then the largest cells are listed
NAMES, HEAD = 92.0, 44.0
LETTERS = 13  # of a name that fit beside the matrix


def matrix_chart(labels: Sequence[str], cells: Floats, *, differences: bool) -> Element:
    """Draws a matrix, rows for gold labels and columns for predictions.

    Args:
        labels: Their names, at most `MOST_LABELS`.
        cells: Counts or differences of counts, (labels, labels).
        differences: Whether they are differences: then blue is better, more on the diagonal and fewer
            elsewhere, and orange is worse; of counts the diagonal is blue.
    """
    size = min((WIDTH - NAMES - 4) / len(labels), 64.0)
    height = min(size, 36.0)
    largest = float(abs(cells).max()) or 1.0
    decimals = 0 if bool((cells == cells.round()).all()) else 1
    parts = [text(0, 12, "gold \u2193 predicted \u2192")]
    stagger = 14 * any(len(label) > size / 7 for label in labels)
    for column, label in enumerate(labels):
        x = NAMES + (column + 0.5) * size
        parts.append(
            text(
                x,
                HEAD - 6 - stagger * (column % 2),
                short(label, int((2 if stagger else 1) * size / 7)),
                "middle",
                "ink",
            )
        )
    for row, label in enumerate(labels):
        y = HEAD + row * height
        parts.append(text(NAMES - 8, y + height / 2 + 4, short(label, LETTERS), "end", "ink"))
        for column in range(len(labels)):
            value = float(cells[row, column])
            right = row == column
            is_better = (value > 0) == right if differences else right
            parts.append(_shade(NAMES + column * size, y, (size, height), abs(value) / largest, is_better))
            words = rounded(value, decimals, sign=differences and value != 0).replace("-", "\u2212")
            parts.append(text(NAMES + (column + 0.5) * size, y + height / 2 + 4, words, "middle", "ink"))
    return picture(WIDTH, HEAD + len(labels) * height + 4, "gold labels against predictions", *parts)


def short(name: str, most: int) -> str:
    """Cuts a name that is too long."""
    return name if len(name) <= most else name[: max(most - 1, 1)] + "\u2026"


def _shade(x: float, y: float, size: tuple[float, float], strength: float, is_better: bool) -> Element:
    # Never so strong that the number in it would be hard to read.
    attributes = {"x": x + 1, "y": y + 1, "width": size[0] - 2, "height": size[1] - 2, "rx": 3}
    return node(
        "rect",
        {
            "class": "fill-main" if is_better else "fill-bad",
            "fill-opacity": fixed(0.04 + 0.36 * strength),
            **{name: fixed(value) for name, value in attributes.items()},
        },
    )
