"""Cost against quality: numbered points with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from bertx.ablation.statistics.estimates import Interval
from bertx.report.charts.axes import Frame, Mark, fixed, line, span, text
from bertx.report.markup import node

RADIUS = 9.0


@dataclass(frozen=True)
class Point:
    """A point of the chart.

    Attributes:
        name: The number it has in the table.
        x: Its cost.
        y: Its quality.
        interval: Of the quality; None: unknown.
        mark: Its colour.
    """

    name: str
    x: float
    y: float
    interval: Interval | None
    mark: Mark


def scatter_chart(points: Sequence[Point], x_title: str, y_title: str) -> Element:
    """Draws points; one that would cover another's number is moved aside and tied to its place."""
    ends = [end for point in points if (i := point.interval) is not None for end in (i.low, i.high)]
    low, high = span([point.x for point in points], margin=0.12)
    bounds = (min(0.0, low) if low < 0.4 * high else low, high)
    frame = Frame.of(bounds, span([*(point.y for point in points), *ends]))
    drawn: list[Element] = []
    taken: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda found: (found.x, found.y, found.name)):
        x, y = frame.x(point.x), frame.y(point.y)
        if point.interval is not None:
            low, high = frame.y(point.interval.low), frame.y(point.interval.high)
            drawn.insert(0, line(x, low, x, high, f"interval {point.mark}"))
        place = _free(x, y, taken, frame)
        taken.append(place)
        drawn += _numbered(point, (x, y), place)
    return frame.draw(x_title, y_title, *drawn)


def _free(x: float, y: float, taken: Sequence[tuple[float, float]], frame: Frame) -> tuple[float, float]:
    """Finds the nearest place where no other number is."""
    steps = [(0, 0)] + [
        (dx, dy) for reach in (1, 2, 3, 4) for dx, dy in ((reach, 0), (-reach, 0), (0, -reach), (0, reach),
                                                         (reach, reach), (-reach, -reach))
    ]  # fmt: skip
    for dx, dy in steps:
        there = (x + dx * 2.1 * RADIUS, y + dy * 2.1 * RADIUS)
        inside = frame.x.begin <= there[0] <= frame.x.end and frame.y.end <= there[1] <= frame.y.begin
        apart = all((there[0] - a) ** 2 + (there[1] - b) ** 2 >= (2 * RADIUS) ** 2 for a, b in taken)
        if apart and (inside or (dx, dy) == (0, 0)):
            return there
    return x, y


def _numbered(point: Point, at: tuple[float, float], place: tuple[float, float]) -> list[Element]:
    parts = []
    if place != at:
        parts.append(line(*at, *place, "leader"))
        parts.append(
            node("circle", {"class": f"fill-{point.mark}", "cx": fixed(at[0]), "cy": fixed(at[1]), "r": "3"})
        )
    circle = {
        "class": f"hollow {point.mark}",
        "cx": fixed(place[0]),
        "cy": fixed(place[1]),
        "r": fixed(RADIUS),
    }
    parts.append(node("circle", circle))
    parts.append(text(place[0], place[1] + 4, point.name, "middle", "strong"))
    return parts
