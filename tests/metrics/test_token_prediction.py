import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertx.metrics.token_prediction import TokenPrediction

counts = st.lists(st.tuples(st.floats(0, 50), st.integers(0, 5), st.integers(5, 9)), min_size=1, max_size=9)


def counted(parts):
    statistic = TokenPrediction()
    for loss_sum, correct, total in parts:
        statistic.add(loss_sum=loss_sum, correct=correct, total=total)
    return statistic


def test_perplexity_is_the_exponential_of_the_mean_loss_per_piece():
    found = counted([(2.0, 1, 1), (1.0, 2, 5)]).get_metric()
    assert found == {"perplexity": math.exp(0.5), "accuracy": 0.5}


@settings(deadline=None)
@given(parts=counts, cut=st.integers(0, 9))
def test_merged_parts_are_worth_the_whole(parts, cut):
    first, second = counted(parts[:cut]), counted(parts[cut:])
    first.merge(second)
    assert first.get_metric() == pytest.approx(counted(parts).get_metric(), rel=1e-12)


def test_nothing_counted_is_nan_and_reset_counts_nothing():
    statistic = counted([(1.0, 1, 1)])
    assert statistic.get_metric(reset=True)["accuracy"] == 1.0
    assert all(math.isnan(value) for value in statistic.get_metric().values())
    assert list(statistic.get_metric()) == ["perplexity", "accuracy"]


def test_a_loss_beyond_all_numbers_is_infinite_perplexity():
    assert counted([(709.0, 0, 1)]).get_metric()["perplexity"] == pytest.approx(8.218407461554972e307)
    assert counted([(1e6, 0, 1)]).get_metric()["perplexity"] == math.inf
