from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bertx.ablation.statistics.estimates import (
    Estimate,
    Interval,
    estimate_accuracy,
    estimate_accuracy_difference,
    estimate_mean,
)


def test_over_seeds_alone_it_is_students_t():
    scores = np.array([0.81, 0.84, 0.79, 0.86])
    estimate = estimate_mean(scores)
    oracle = stats.ttest_1samp(scores, 0.0)
    interval, expected = estimate.interval(), oracle.confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert estimate.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    assert estimate.covers == "seeds"


def test_with_one_seed_it_is_students_t_over_instances():
    values = np.random.default_rng(0).normal(0.1, 1, (1, 40))
    estimate = estimate_mean(values.mean(axis=1), values)
    oracle = stats.ttest_1samp(values[0], 0.0)
    assert estimate.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    assert estimate.interval().low == pytest.approx(oracle.confidence_interval().low, rel=1e-11)
    assert estimate.covers == "instances"


def test_variances_are_those_of_a_two_way_analysis():
    values = np.random.default_rng(1).normal(size=(4, 9)) + np.arange(9) / 3
    estimate = estimate_mean(values.mean(axis=1), values)
    grand, rows, columns = values.mean(), values.mean(axis=1), values.mean(axis=0)
    of_rows = 9 * ((rows - grand) ** 2).sum() / 3
    of_columns = 4 * ((columns - grand) ** 2).sum() / 8
    of_rest = sum((values[s, i] - rows[s] - columns[i] + grand) ** 2 for s in range(4) for i in range(9)) / 24
    assert estimate.seed_variance == pytest.approx(of_rows / 36, rel=1e-12)
    assert estimate.instance_variance == pytest.approx((of_columns - of_rest) / 36, rel=1e-12)
    assert estimate.covers == "seeds and instances"


def test_the_variance_is_right_on_average_whatever_the_cells():
    generator = np.random.default_rng(2)
    spread = np.linspace(0.2, 2, 12)  # cells differ in variance
    tables = generator.normal(size=(4000, 5, 1)) * 0.3 + generator.normal(size=(4000, 1, 12)) * spread
    tables += (generator.exponential(size=(4000, 5, 12)) - 1) * spread
    means = tables.mean(axis=(1, 2))
    claimed = np.mean([estimate_mean(table.mean(axis=1), table).standard_error ** 2 for table in tables])
    assert claimed == pytest.approx(means.var(), rel=0.05)


def test_instances_that_agree_in_no_way_add_no_negative_variance():
    values = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert estimate_mean(values.mean(axis=1), values).instance_variance == 0.0


def test_degrees_of_freedom_lie_between_those_of_the_sources():
    estimate = Estimate(0.0, 0.0, seed_variance=1.0, instance_variance=3.0, num_seeds=5, num_instances=101)
    assert estimate.degrees_of_freedom == pytest.approx(1 / (0.25 / 4 + 0.75 / 100))


def test_one_seed_without_instances_says_nothing():
    estimate = estimate_mean(np.array([0.9]))
    assert (estimate.covers, estimate.interval(), estimate.p_value) == ("nothing", None, None)


def test_equal_differences_of_few_seeds_may_be_chance():
    differences = np.array([0.80, 0.90, 0.85]) - np.array([0.78, 0.88, 0.83])  # 0.02, but for rounding
    assert estimate_mean(differences[:2]).p_value == 0.5
    assert estimate_mean(differences).p_value == 0.25
    assert estimate_mean(np.zeros(3)).p_value == 1.0


def test_where_nothing_varies_the_interval_is_a_point():
    assert estimate_mean(np.array([0.5, 0.5])).interval() == Interval(0.5, 0.5)


def test_an_interval_leaves_zero_out_exactly_where_the_p_value_is_below_its_level():
    values = np.random.default_rng(5).normal(0.2, 1, (3, 50))
    estimate = estimate_mean(values.mean(axis=1), values)
    interval = estimate.interval(1 - estimate.p_value)
    assert min(abs(interval.low), abs(interval.high)) == pytest.approx(0, abs=1e-12)


def test_accuracy_of_one_seed_has_agresti_and_coulls_interval():
    right = np.array([[1.0] * 18 + [0.0] * 2])
    estimate = estimate_accuracy(right)
    with_four = np.append(right, [1, 1, 0, 0])
    reach = stats.t.isf(0.025, 19) * with_four.std(ddof=1) / np.sqrt(24)
    assert estimate.value == pytest.approx(0.9)
    assert estimate.interval().low == pytest.approx(with_four.mean() - reach)


def test_all_predictions_right_leave_room_for_doubt():
    interval = estimate_accuracy(np.ones((3, 50))).interval()
    assert interval == Interval(pytest.approx(0.909, abs=5e-3), 1.0)


def test_variants_that_agree_on_all_instances_are_not_known_to_be_equal():
    estimate = estimate_accuracy_difference(np.zeros((1, 50)))
    assert estimate.p_value == 1.0
    assert estimate.interval() == Interval(pytest.approx(-0.0546, abs=1e-3), pytest.approx(0.0546, abs=1e-3))


def test_an_accuracy_difference_of_one_seed_has_bonett_and_prices_interval():
    wins, losses, total = 9, 3, 40
    differences = np.array([[1.0] * wins + [-1.0] * losses + [0.0] * (total - wins - losses)])
    p12, p21 = (wins + 1) / (total + 2), (losses + 1) / (total + 2)
    error = np.sqrt((p12 + p21 - (p12 - p21) ** 2) / (total + 1))  # by n - 1, and t instead of normal
    interval = estimate_accuracy_difference(differences).interval()
    assert interval.high == pytest.approx(p12 - p21 + stats.t.isf(0.025, total - 1) * error, rel=1e-9)


def test_added_instances_hardly_matter_among_many():
    right = np.random.default_rng(1).integers(0, 2, (5, 20_000)).astype(np.float64)
    bare, added = estimate_mean(right.mean(axis=1), right), estimate_accuracy(right)
    assert added.interval().low == pytest.approx(bare.interval().low, abs=1e-4)
