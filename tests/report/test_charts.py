import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.ablation.statistics.estimates import Interval
from bertx.report.charts.axes import Scale, nice_ticks, span, tick_labels
from bertx.report.charts.curves import Curve, banded, curves_chart, thinned
from bertx.report.charts.matrix import matrix_chart
from bertx.report.charts.reliability import Bin, expected_calibration_error, reliability_bins
from bertx.report.charts.scatter import RADIUS, Point, scatter_chart
from bertx.report.charts.strips import change_bar, interval_strip, strip_scale


def numbers(element, name, kind, *keys):
    """Returns attributes of all elements of a name whose class holds a word."""
    found = [part for part in element.iter(name) if kind in part.get("class", "").split()]
    return [tuple(float(part.get(key)) for key in keys) for part in found]


def words(element):
    return [part.text for part in element.iter("text")]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.83, 0.91, ["0.84", "0.86", "0.88", "0.90"]),
        (-0.04, 0.02, ["\u22120.04", "\u22120.02", "0.00", "0.02"]),
        (0.0, 20_000.0, ["0", "5k", "10k", "15k", "20k"]),
        (0.0, 5e-5, ["0", "1e-5", "2e-5", "3e-5", "4e-5", "5e-5"]),
    ],
)
def test_ticks_are_round_and_named_with_the_digits_they_need(low, high, labels):
    assert tick_labels(nice_ticks(low, high, 6)) == labels


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_lie_between_the_ends_and_are_never_too_many(low, length, most):
    high = low + length
    ticks = nice_ticks(low, high, most)
    assert len(ticks) <= most
    assert all(low - 1e-6 * length <= tick <= high + 1e-6 * length for tick in ticks)


def test_an_axis_has_room_around_its_values():
    assert span([1.0, 2.0, math.nan]) == pytest.approx((0.94, 2.06))
    assert span([2.0]) == pytest.approx((1.9, 2.1))
    assert span([]) == (0.0, 1.0)


def test_a_logarithmic_scale_makes_equal_factors_equal_lengths():
    scale = Scale(0.01, 1.0, 0.0, 100.0, logarithmic=True)
    assert [scale(value) for value in (0.01, 0.1, 1.0)] == pytest.approx([0, 50, 100])
    assert scale.ticks() == pytest.approx([0.01, 0.1, 1.0])


def test_a_band_reaches_from_the_lowest_to_the_highest_run():
    curve = banded("main", [[(1, 0.5), (2, 0.4)], [(1, 0.7), (2, math.nan)]])
    assert curve.points == [(1, 0.5, pytest.approx(0.6), 0.7), (2, 0.4, 0.4, 0.4)]
    assert banded("main", [[(1, math.nan)], []]) is None


def test_many_points_are_averaged():
    assert thinned([(1, 1.0), (2, 3.0), (3, 5.0)], 2) == [(2, 2.0), (3, 5.0)]
    assert thinned([(1, 1.0)], 2) == [(1, 1.0)]


def test_curves_are_drawn_where_their_values_are():
    curve = Curve("main", [(0.0, 0.0, 0.0, 0.0), (10.0, 1.0, 1.0, 1.0)])
    chart = curves_chart([curve], "steps", "loss", y_span=(0.0, 1.0))
    (line,) = (part for part in chart.iter("polyline"))
    assert line.get("points") == "46,172 328,24"
    assert ("steps" in words(chart), "loss" in words(chart)) == (True, True)


def test_a_curve_of_one_point_can_be_drawn():
    chart = curves_chart([Curve("base", [(5.0, 0.5, 0.5, 0.5)])], "steps", "loss")
    assert numbers(chart, "circle", "fill-base", "cx", "cy") == [(187.0, 98.0)]


def test_an_interval_is_drawn_from_end_to_end():
    drawn = interval_strip(strip_scale((0.0, 1.0)), 0.5, Interval(0.25, 0.75), "main", 0.0, hollow=False)
    lines = numbers(drawn, "line", "interval", "x1", "x2")
    assert lines[0] == (41.0, 99.0)
    assert numbers(drawn, "circle", "fill-main", "cx") == [(70.0,)]
    assert numbers(drawn, "line", "zero", "x1") == [(12.0,)]


def test_a_bar_begins_in_the_middle():
    assert numbers(change_bar(-0.5, 1.0, "bad"), "rect", "fill-bad", "x", "width") == [(31.0, 29.0)]
    assert numbers(change_bar(0.0, 0.0, "main"), "rect", "fill-main", "x", "width") == [(60.0, 0.0)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=9))
def test_numbers_of_points_do_not_cover_each_other(places):
    points = [Point(str(n), x / 3, y / 3, None, "main") for n, (x, y) in enumerate(places)]
    chart = scatter_chart(points, "cost", "quality")
    centres = np.array(numbers(chart, "circle", "hollow", "cx", "cy"))
    gaps = np.linalg.norm(centres[:, None] - centres, axis=-1) + 1e9 * np.eye(len(centres))
    assert gaps.min() >= 2 * RADIUS - 0.02


def test_a_difference_of_confusions_is_blue_where_it_is_better():
    chart = matrix_chart(["a", "b"], np.array([[2.0, -2.0], [0.5, -0.5]]), differences=True)
    kinds = [part.get("class") for part in chart.iter("rect")]
    assert kinds == ["fill-main", "fill-main", "fill-bad", "fill-bad"]
    assert [word for word in words(chart) if word[-1].isdigit()] == ["+2.0", "\u22122.0", "+0.5", "\u22120.5"]


def test_calibration_is_the_weighted_gap_of_confidence_and_accuracy():
    bins = reliability_bins([0.95, 0.85, 0.9, 1.0], [True, False, True, False])
    assert bins == [Bin(0.85, 0.0, 1), Bin(pytest.approx(0.95), pytest.approx(2 / 3), 3)]
    assert expected_calibration_error(bins) == pytest.approx((0.85 + 3 * (0.95 - 2 / 3)) / 4)
