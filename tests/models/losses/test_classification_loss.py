import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from bertx.errors import ConfigError
from bertx.models.losses.classification_loss import Classes, balanced_weights
from tests.models.losses.batches import LABELS, batches, built, tensors, weights

LOGITS, LABEL = torch.tensor([[2, 0, -1], [0, 1, 0], [0.5, 0.5, 3]]), torch.tensor([0, 2, 1])


@pytest.mark.parametrize(("reduction", "value"), [("mean", 3.893214), ("weighted_mean", 1.668520)])
def test_parlai_divides_by_the_number_of_labels_and_torch_by_their_weights(reduction, value):
    loss, total = built({"class_weights": [1, 2, 4], "reduction": reduction})(LOGITS, LABEL)
    assert loss.item() == pytest.approx(value, abs=1e-6)
    assert total.item() == (3 if reduction == "mean" else 7)


@given(counts=st.lists(st.integers(1, 1000), min_size=3, max_size=3))
def test_balanced_weights_are_those_of_scikit_learn(counts):
    gold = np.repeat(np.arange(3), counts)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=gold)
    found = balanced_weights(Classes(LABELS, dict(zip(LABELS, counts, strict=True))))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_a_class_that_training_has_not_seen_weighs_1_and_is_not_counted():
    assert balanced_weights(Classes(LABELS, {"a": 3, "c": 1})).tolist() == pytest.approx([2 / 3, 1, 2])


def test_balanced_weights_are_used():
    loss = built({"class_weights": "balanced"}, {"a": 1, "b": 1, "c": 2})
    expected = built({"class_weights": [4 / 3, 4 / 3, 2 / 3]})
    torch.testing.assert_close(loss(LOGITS, LABEL), expected(LOGITS, LABEL))


def test_labels_that_an_object_leaves_out_weigh_1():
    loss, expected = built({"class_weights": {"b": 5}}), built({"class_weights": [1, 5, 1]})
    assert loss(LOGITS, LABEL)[0].item() == expected(LOGITS, LABEL)[0].item()


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean"])
@given(rows=batches, class_weights=weights, cut=st.integers(0, 8))
def test_two_batches_put_together_are_one_large_one(name, reduction, rows, class_weights, cut):
    loss = built({"type": name, "class_weights": class_weights, "reduction": reduction})
    logits, label = tensors(rows)
    parts = [loss(logits[part], label[part]) for part in (slice(cut), slice(cut, None)) if len(label[part])]
    whole, total = loss(logits, label)
    assert sum(float(part[1]) for part in parts) == pytest.approx(float(total))
    added = sum(float(mean) * float(count) for mean, count in parts)
    assert added == pytest.approx(float(whole) * float(total), abs=1e-9)


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
@pytest.mark.parametrize("settings", [{}, {"class_weights": [1, 2, 3]}, {"class_weights": [0, 0, 1]}])
def test_without_a_label_that_counts_the_loss_is_0(name, settings):
    logits = torch.randn(2, 3, requires_grad=True)
    loss, total = built({"type": name, **settings})(logits, torch.tensor([-100, -100]))
    loss.backward()
    assert (loss.item(), total.item(), logits.grad.abs().sum().item()) == (0, 0, 0)


@pytest.mark.parametrize(
    ("class_weights", "message"),
    [
        ({"d": 2}, 'no label is called "d"; did you mean "a"? (labels: a, b, c)'),
        (
            [1, 2],
            "2 weights, but there are 3 labels (a, b, c); give one for each, in this order, or an object",
        ),
        ([1, -2, 1], "1, -2, 1; expected finite numbers of at least 0, one of them above"),
        ([0, 0, 0], "0, 0, 0; expected finite numbers of at least 0, one of them above"),
    ],
)
def test_weights_that_fit_no_labels_are_refused(class_weights, message):
    with pytest.raises(ConfigError, match=rf"^model\.loss\.class_weights: {re.escape(message)}"):
        built({"class_weights": class_weights})
