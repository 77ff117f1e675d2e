"""Curves over steps or other numbers, with bands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from xml.etree.ElementTree import Element

import numpy as np

from bertx.report.charts.axes import Frame, Mark, fixed, span
from bertx.report.markup import node

Points: TypeAlias = Sequence[tuple[float, float]]
MOST_POINTS = 150  # more cannot be told apart at this size


@dataclass(frozen=True)
class Curve:
    """A curve with a band around it.

    Attributes:
        mark: Its colour; the comparison's, `base`, is dashed too.
        points: x, the lower end of the band, the value, the upper end.
        dots: Whether to mark the points themselves.
    """

    mark: Mark
    points: Sequence[tuple[float, float, float, float]]
    dots: bool = False


def banded(mark: Mark, runs: Sequence[Points]) -> Curve | None:
    """Makes the curve of several runs: their mean, and a band from the lowest to the highest.

    Values that are not finite are left out.

    Returns:
        None if there is no point.
    """
    found: dict[float, list[float]] = {}
    for points in runs:
        for x, value in points:
            if math.isfinite(value):
                found.setdefault(x, []).append(value)
    banded = [(x, min(values), float(np.mean(values)), max(values)) for x, values in sorted(found.items())]
    return Curve(mark, banded) if banded else None


def thinned(points: Points, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Averages neighbours, so that at most so many points are left."""
    size = math.ceil(len(points) / most)
    if size <= 1:
        return list(points)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], float(np.mean([value for _, value in group]))) for group in groups]


def curves_chart(
    curves: Sequence[Curve],
    x_title: str,
    y_title: str,
    *,
    y_span: tuple[float, float] | None = None,
    x_span: tuple[float, float] | None = None,
    log_x: bool = False,
    x_ticks: Sequence[tuple[float, str]] | None = None,
) -> Element:
    """Draws curves.

    Args:
        curves: The last one is on top.
        x_title: What the x axis shows, with its unit.
        y_title: The same of the y axis.
        y_span: The ends of the y axis; None: as the values are.
        x_span: The same of the x axis.
        log_x: Whether the x axis is logarithmic.
        x_ticks: Values on the x axis and their names; None: round ones.
    """
    xs = [point[0] for curve in curves for point in curve.points]
    ys = [value for curve in curves for point in curve.points for value in point[1:]]
    bounds = x_span or (min(xs), max(xs))
    if bounds[0] == bounds[1]:
        bounds = (bounds[0] / 2, bounds[0] * 2) if log_x else (bounds[0] - 1, bounds[0] + 1)
    frame = Frame.of(bounds, y_span or span(ys), log_x=log_x)
    drawn = [part for curve in curves for part in _draw(frame, curve)]
    return frame.draw(x_title, y_title, *drawn, x_ticks=x_ticks)


def _draw(frame: Frame, curve: Curve) -> list[Element]:
    points = [(frame.x(x), *(frame.y(value) for value in values)) for x, *values in curve.points]
    lower, upper = [(p[0], p[1]) for p in points], [(p[0], p[3]) for p in points]
    middle = [(p[0], p[2]) for p in points]
    drawn = []
    if lower != upper:
        drawn.append(
            node("polygon", {"class": f"band fill-{curve.mark}", "points": _path([*lower, *reversed(upper)])})
        )
    dashed = " dashed" if curve.mark == "base" else ""
    drawn.append(node("polyline", {"class": f"curve {curve.mark}{dashed}", "points": _path(middle)}))
    if curve.dots or len(points) <= 12:
        drawn += [
            node("circle", {"class": f"fill-{curve.mark}", "cx": fixed(x), "cy": fixed(y), "r": "2.6"})
            for x, y in middle
        ]
    return drawn


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{fixed(x)},{fixed(y)}" for x, y in points)
