import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from bertx.errors import ConfigError
from bertx.metrics.categorical_accuracy import CategoricalAccuracy
from tests.metrics.strategies import pairs, unknown_as_label, value


@settings(max_examples=500, deadline=None)
@given(pairs=pairs)
def test_accuracy_equals_that_of_scikit_learn(pairs):
    expected = accuracy_score(*unknown_as_label(pairs))
    assert value(CategoricalAccuracy(), [pairs])["accuracy"] == pytest.approx(expected, abs=1e-12)


def accuracy(logits: list[list[float]], labels: list[int], top_k: int = 1) -> float:
    metric = CategoricalAccuracy(top_k)
    metric(torch.tensor(logits), torch.tensor(labels))
    return metric.get_metric()["accuracy"]


@pytest.mark.parametrize(("top_k", "expected"), [(1, 0.25), (2, 0.5), (3, 0.75), (9, 0.75)])
def test_top_k_counts_a_label_among_the_k_best(top_k, expected):
    logits = [[3.0, 2.0, 1.0]] * 4
    assert accuracy(logits, [0, 1, 2, -100], top_k) == expected


def test_of_equal_logits_the_first_label_is_predicted():
    assert accuracy([[1.0, 1.0, 1.0]] * 3, [0, 1, 2]) == 1 / 3
    assert accuracy([[1.0, 1.0, 1.0]] * 3, [0, 1, 2], top_k=2) == 2 / 3


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0, float("nan")]), min_size=1, max_size=6))
def test_the_prediction_is_the_argmax(logits):
    best = int(torch.tensor(logits).argmax())
    assert accuracy([logits], [best]) == 1.0


def test_no_guess_at_all_is_refused():
    with pytest.raises(ConfigError, match=r"^categorical_accuracy\.top_k: 0; expected at least 1$"):
        CategoricalAccuracy(0)
