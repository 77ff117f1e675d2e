"""Whether a model is right as often as it is sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from bertx.report.charts.axes import Frame, fixed, line
from bertx.report.markup import node

NUM_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Predictions of about the same confidence.

    Attributes:
        confidence: Their mean confidence.
        accuracy: The share of them that is right.
        count: How many there are.
    """

    confidence: float
    accuracy: float
    count: int


def reliability_bins(confidences: Sequence[float], hits: Sequence[bool]) -> list[Bin]:
    """Sorts predictions into tenths of confidence; those without any are left out.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 2.
    """
    found: dict[int, list[tuple[float, bool]]] = {}
    for confidence, hit in zip(confidences, hits, strict=True):
        found.setdefault(min(int(confidence * NUM_BINS), NUM_BINS - 1), []).append((confidence, hit))
    return [
        Bin(
            sum(confidence for confidence, _ in members) / len(members),
            sum(hit for _, hit in members) / len(members),
            len(members),
        )
        for _, members in sorted(found.items())
    ]


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Averages how far accuracy is from confidence, weighted by how many predictions each bin has.

    Source: Guo et al. 2017, equation 3.
    """
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.accuracy - one.confidence) for one in bins) / total


def reliability_chart(bins: Sequence[Bin]) -> Element:
    """Draws accuracy over confidence; the larger a dot, the more predictions."""
    low = min(0.9, *(min(one.confidence, one.accuracy) for one in bins))
    frame = Frame.of((low - 0.03, 1.03), (low - 0.06, 1.06))
    most = max(one.count for one in bins)
    parts = [line(frame.x(low), frame.y(low), frame.x(1.0), frame.y(1.0), "zero")]
    for one in bins:
        radius = 3 + 7 * (one.count / most) ** 0.5
        place = {"cx": frame.x(one.confidence), "cy": frame.y(one.accuracy), "r": radius}
        attributes = {"class": "marker fill-main", **{key: fixed(value) for key, value in place.items()}}
        parts.append(node("circle", attributes))
    return frame.draw("confidence", "share that is right", *parts)
