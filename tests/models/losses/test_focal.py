import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from bertx.errors import ConfigError
from tests.models.losses.batches import Rows, built, known_batches, tensors, weights


def test_known_numbers():
    """Of probabilities 1/4 and 3/4: 0.75² ln 4 and 0.25² ln(4/3)."""
    logits = torch.tensor([[0.0, 0.0, torch.log(torch.tensor(2.0))]]).double()
    loss = built({"type": "focal"})
    assert loss(logits, torch.tensor([0]))[0].item() == pytest.approx(0.779790578, abs=1e-7)
    sure = torch.tensor([[0.0, -torch.inf, torch.log(torch.tensor(3.0))]]).double()
    assert loss(sure, torch.tensor([2]))[0].item() == pytest.approx(0.0179801295, abs=1e-7)


@given(
    rows=known_batches,
    class_weights=weights | st.none(),
    reduction=st.sampled_from(["mean", "weighted_mean"]),
)
def test_with_gamma_0_it_is_the_cross_entropy(rows: Rows, class_weights, reduction):
    settings = {"class_weights": class_weights, "reduction": reduction}
    focal = built({"type": "focal", "gamma": 0, **settings})(*tensors(rows))
    torch.testing.assert_close(focal, built(settings)(*tensors(rows)))


@given(rows=known_batches, gamma=st.floats(0.5, 5), class_weights=weights)
def test_loss_and_gradient_are_those_of_the_formula_of_the_paper(rows: Rows, gamma, class_weights):
    logits, label = tensors(rows)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = built({"type": "focal", "gamma": gamma, "class_weights": class_weights})(ours, label)[0]
    known, alpha = label >= 0, torch.tensor(class_weights, dtype=torch.float64)
    one_hot = F.one_hot(label[known], 3).bool()
    p = theirs[known].softmax(dim=1)
    others = p.masked_fill(one_hot, 0).sum(dim=1).clamp(min=2.3e-16)  # 1 - p without the rounding
    losses = -alpha[label[known]] * others**gamma * theirs[known].log_softmax(dim=1)[one_hot]
    expected = losses.sum() / alpha[label[known]].sum()
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-6)
    torch.testing.assert_close(
        torch.autograd.grad(found, ours), torch.autograd.grad(expected, theirs), atol=1e-7, rtol=1e-5
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_what_is_certain_has_a_finite_gradient(gamma):
    logits = torch.tensor([[100.0, 0.0, 0.0], [0.0, 100.0, 0.0]], requires_grad=True)
    built({"type": "focal", "gamma": gamma})(logits, torch.tensor([0, 0]))[0].backward()
    assert logits.grad.isfinite().all()


def test_gamma_must_not_be_below_0():
    with pytest.raises(ConfigError, match=r"^model\.loss\.gamma: -1; expected at least 0, such as 2"):
        built({"type": "focal", "gamma": -1})
