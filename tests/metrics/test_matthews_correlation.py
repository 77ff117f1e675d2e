import pytest
from hypothesis import given, settings
from sklearn.metrics import matthews_corrcoef

from bertx.metrics.matthews_correlation import MatthewsCorrelation
from tests.metrics.strategies import pairs, unknown_as_label, value


def correlation(pairs):
    return value(MatthewsCorrelation(), [pairs])["matthews_correlation"]


@settings(max_examples=500, deadline=None)
@given(pairs=pairs)
def test_the_correlation_equals_that_of_scikit_learn(pairs):
    gold, predicted = unknown_as_label(pairs)
    # scikit-learn warns where there is one label only, and where one side never varies has 0 as well.
    expected = matthews_corrcoef(gold, predicted) if len({*gold, *predicted}) > 1 else 0.0
    assert correlation(pairs) == pytest.approx(expected, abs=1e-12)


def test_all_right_is_1_and_all_exchanged_is_minus_1():
    assert correlation([(0, 0), (1, 1), (1, 1)]) == pytest.approx(1.0, abs=1e-15)
    assert correlation([(0, 1), (1, 0)]) == pytest.approx(-1.0, abs=1e-15)


def test_predicting_always_the_same_is_0_however_often_it_is_right():
    assert correlation([(0, 0)] * 99 + [(1, 0)]) == 0.0


def test_millions_of_instances_lose_no_digits():
    part = [(0, 0)] * 3 + [(1, 0)] + [(1, 1)] * 4
    assert correlation(part * 20_000) == pytest.approx(correlation(part), abs=1e-12)
