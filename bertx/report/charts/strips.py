"""Intervals drawn in the cells of a table, one below the other on one scale."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from bertx.ablation.statistics.estimates import Interval
from bertx.report.charts.axes import Mark, Scale, fixed, line, picture, text, tick_labels
from bertx.report.markup import node

WIDTH, HEIGHT, MARGIN = 140.0, 26.0, 12.0


def strip_scale(ends: tuple[float, float]) -> Scale:
    """Makes the scale that all cells of a column share."""
    return Scale(*ends, MARGIN, WIDTH - MARGIN)


def interval_strip(
    scale: Scale, value: float, interval: Interval | None, mark: Mark, zero: float | None, *, hollow: bool
) -> Element:
    """Draws a value and its interval.

    Args:
        scale: That of the column.
        value: The value.
        interval: Its interval; None: unknown.
        mark: Its colour.
        zero: Where to draw a dashed line to compare with; None: nowhere.
        hollow: Whether the dot is a ring: nothing is shown of the value.
    """
    middle = HEIGHT / 2
    parts = [] if zero is None else [line(scale(zero), 0, scale(zero), HEIGHT, "zero")]
    if interval is not None:
        low, high = scale(interval.low), scale(interval.high)
        parts.append(line(low, middle, high, middle, f"interval {mark}"))
        parts += [line(end, middle - 4, end, middle + 4, f"interval {mark}") for end in (low, high)]
    kind = f"hollow {mark}" if hollow else f"marker fill-{mark}"
    dot = {"class": kind, "cx": fixed(scale(value)), "cy": fixed(middle), "r": "4.5" if hollow else "5"}
    return picture(WIDTH, HEIGHT, "the interval drawn", *parts, node("circle", dot))


def strip_axis(scale: Scale, title: str) -> Element:
    """Draws the axis that stands in the head of the column."""
    ticks = scale.ticks(4)
    parts = [
        text(WIDTH / 2, 12, title, "middle"),
        line(MARGIN, HEIGHT + 12, WIDTH - MARGIN, HEIGHT + 12, "axis"),
    ]
    for value, name in zip(ticks, tick_labels(ticks), strict=True):
        parts.append(line(scale(value), HEIGHT + 8, scale(value), HEIGHT + 12, "axis"))
        parts.append(text(scale(value), HEIGHT + 4, name, "middle"))
    return picture(WIDTH, HEIGHT + 14, f"scale of {title}", *parts)


def change_bar(change: float, largest: float, mark: Mark) -> Element:
    """Draws a change as a bar from the middle, to the left if it is negative.

    Args:
        change: How much.
        largest: Of all changes that are drawn, in size.
        mark: Its colour.
    """
    scale = Scale(-largest or -1.0, largest or 1.0, 2.0, 118.0)
    begin, end = sorted((scale(0.0), scale(change)))
    bar = {"class": f"fill-{mark}", "x": fixed(begin), "y": "4", "width": fixed(end - begin), "height": "10"}
    return picture(
        120, 18, "the change drawn", node("rect", bar), line(scale(0.0), 0, scale(0.0), 18, "axis")
    )
