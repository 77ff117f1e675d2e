"""Scales, ticks and frames of charts.

A chart is drawn 340 units wide and shown at about that many pixels, so that its letters have one size on a
phone and on a desk; more room is filled by more charts side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from xml.etree.ElementTree import Element

from bertx.report.markup import node

Mark: TypeAlias = Literal["main", "base", "bad"]

WIDTH, HEIGHT = 340.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 24.0, 38.0


def fixed(number: float) -> str:
    """Writes a coordinate: the same on every machine."""
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


@dataclass(frozen=True)
class Scale:
    """Maps values to a length.

    Attributes:
        low: The value at its beginning.
        high: The value at its end.
        begin: Where it begins; y axes begin at the bottom.
        end: Where it ends.
        logarithmic: Whether equal lengths are equal factors.
    """

    low: float
    high: float
    begin: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Returns the place of a value; what is outside stands at the border."""
        low, high, value = (self._plain(number) for number in (self.low, self.high, value))
        share = (value - low) / (high - low)
        return self.begin + min(max(share, 0.0), 1.0) * (self.end - self.begin)

    def _plain(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.logarithmic else value

    def ticks(self, most: int = 6) -> list[float]:
        """Returns round values between the ends."""
        if not self.logarithmic:
            return nice_ticks(self.low, self.high, most)
        decades = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
        found = [10.0**decade for decade in decades]
        return found if len(found) > 1 else [self.low, self.high]


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Returns multiples of 1, 2 or 5 times a power of ten, at most so many, from `low` to `high`."""
    rough = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(
        size * power for size in (1, 2, 5, 10, 20) if (high - low) / (size * power) <= most - 1 + 1e-9
    )
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def span(values: Iterable[float], *, margin: float = 0.06) -> tuple[float, float]:
    """Returns the ends of an axis that shows all values, with some room; those not finite do not count."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = (high - low) * margin or abs(high) * 0.05 or 0.5
    return low - room, high + room


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Writes ticks with as many decimals as tell them apart."""
    if not ticks:
        return []
    largest = max(abs(tick) for tick in ticks)
    if largest >= 1e4 or 0 < largest < 1e-3:
        for digits in range(4):
            texts = [short_power(tick, digits) for tick in ticks]
            if len(set(texts)) == len(ticks):
                return texts
    distance = min((b - a for a, b in itertools.pairwise(ticks)), default=1.0)
    decimals = max(-math.floor(math.log10(distance) + 1e-9), 0)
    return [f"{tick + 0.0:.{decimals}f}".replace("-", "\u2212") for tick in ticks]


def short_power(value: float, digits: int) -> str:
    """Writes very large and small numbers: `5k`, `2M`, `3e-5`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.{digits}f}{letter}"
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return "0" if value == 0 else f"{mantissa}e{int(exponent)}"


@dataclass(frozen=True)
class Frame:
    """The axes of a chart.

    Attributes:
        x: The scale of the x axis.
        y: That of the y axis.
    """

    x: Scale
    y: Scale

    @classmethod
    def of(
        cls, x: tuple[float, float], y: tuple[float, float], *, log_x: bool = False, height: float = HEIGHT
    ) -> Frame:
        """Makes the frame of a chart of the usual size that shows these values."""
        return cls(
            Scale(*x, LEFT, WIDTH - RIGHT, log_x),
            Scale(*y, height - BOTTOM, TOP),
        )

    def draw(
        self,
        x_title: str,
        y_title: str,
        *contents: Element,
        x_ticks: Sequence[tuple[float, str]] | None = None,
    ) -> Element:
        """Draws the chart.

        Args:
            x_title: What the x axis shows, with its unit.
            y_title: The same of the y axis.
            contents: What is drawn over the grid.
            x_ticks: Values and their names; None: round values.
        """
        height = self.y.begin + BOTTOM
        y_ticks = self.y.ticks()
        if x_ticks is None:
            values = self.x.ticks()
            x_ticks = list(zip(values, tick_labels(values), strict=True))
        marks = [self._y_tick(value, name) for value, name in zip(y_ticks, tick_labels(y_ticks), strict=True)]
        marks += [text(self.x(value), self.y.begin + 16, name, "middle") for value, name in x_ticks]
        marks.append(line(self.x.begin, self.y.begin, self.x.end, self.y.begin, "axis"))
        marks.append(text((self.x.begin + self.x.end) / 2, height - 5, x_title, "middle"))
        marks.append(text(2, 13, y_title))
        return picture(WIDTH, height, f"{y_title} over {x_title}", *marks, *contents)

    def _y_tick(self, value: float, name: str) -> Element:
        y = self.y(value)
        rule = line(self.x.begin, y, self.x.end, y, "grid")
        return node("g", None, rule, text(self.x.begin - 6, y + 4, name, "end"))


def picture(width: float, height: float, description: str, *contents: Element) -> Element:
    """Makes the picture that holds a chart."""
    attributes = {
        "viewBox": f"0 0 {fixed(width)} {fixed(height)}",
        "width": fixed(width),
        "height": fixed(height),
        "role": "img",
        "aria-label": description,
    }
    return node("svg", attributes, *contents)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    """Draws a straight line."""
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return node("line", {"class": kind, **{name: fixed(value) for name, value in ends.items()}})


def text(
    x: float, y: float, words: str, anchor: Literal["start", "middle", "end"] = "start", kind: str = ""
) -> Element:
    """Sets words; `y` is their base line."""
    attributes = {"x": fixed(x), "y": fixed(y), "text-anchor": anchor, **({"class": kind} if kind else {})}
    return node("text", attributes, words)


def swatch(mark: Mark) -> Element:
    """Draws the sample of a mark that stands in a legend."""
    attributes = {"viewBox": "0 0 22 10", "width": "22", "height": "10", "aria-hidden": "true"}
    dashed = " dashed" if mark == "base" else ""
    return node("svg", attributes, line(0, 5, 22, 5, f"curve {mark}{dashed}"))
