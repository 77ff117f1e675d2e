import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from bertx.errors import ConfigError
from bertx.metrics.fbeta import FBeta
from tests.metrics.strategies import NUM_LABELS, pairs, unknown_as_label, value

averages = st.sampled_from(["macro", "micro", "weighted"])


@settings(max_examples=900, deadline=None)
@given(
    average=averages,
    pairs=pairs,
    beta=st.sampled_from([0.25, 0.5, 1.0, 2.0, 7.0]),
)
def test_fbeta_equals_that_of_scikit_learn(average, pairs, beta):
    gold, predicted = unknown_as_label(pairs)
    # An unknown gold label is no label of the model's; only the macro average counts labels.
    labels = sorted({*gold, *predicted} - {NUM_LABELS}) if average == "macro" else None
    precision, recall, fscore, _ = precision_recall_fscore_support(
        gold, predicted, beta=beta, labels=labels, average=average, zero_division=0
    )
    found = value(FBeta(beta, average), [pairs])
    expected = {"precision": precision, "recall": recall, "fscore": fscore}
    assert found == pytest.approx(expected, abs=1e-12)


def test_absent_labels_do_not_lower_the_macro_average():
    assert value(FBeta(), [[(0, 0), (1, 1)]]) == {"precision": 1.0, "recall": 1.0, "fscore": 1.0}


def test_a_label_predicted_but_absent_has_recall_zero():
    found = value(FBeta(), [[(0, 0), (0, 3)]])
    assert found == pytest.approx({"precision": 0.5, "recall": 0.25, "fscore": 1 / 3})


def test_beta_weighs_recall():
    half_found = [(0, 0), (0, 1), (0, 1), (0, 1), (1, 1)]  # label 0: precision 1, recall 1/4
    low, high = (value(FBeta(beta), [half_found])["fscore"] for beta in (0.5, 2.0))
    assert low == pytest.approx((0.625 + 1.25 / 4.25) / 2)
    assert high == pytest.approx((5 / 17 + 0.625) / 2)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_unknown_gold_labels_alone_are_all_wrong(average):
    found = value(FBeta(average=average), [[(-100, 0), (-100, 2)]])
    assert found == {"precision": 0.0, "recall": 0.0, "fscore": 0.0}


@settings(deadline=None)
@given(average=averages, pairs=pairs, predicted=st.integers(0, NUM_LABELS - 1))
def test_one_more_unknown_gold_label_never_helps(average, pairs, predicted):
    before = value(FBeta(average=average), [pairs])["fscore"]
    assert value(FBeta(average=average), [[*pairs, (-100, predicted)]])["fscore"] <= before + 1e-12


def test_beta_must_be_positive():
    with pytest.raises(ConfigError, match=r"^fbeta\.beta: 0; expected a number above 0$"):
        FBeta(0)
