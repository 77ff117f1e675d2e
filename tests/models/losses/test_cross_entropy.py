import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from bertx.errors import ConfigError
from tests.models.losses.batches import Rows, built, known_batches, tensors, weights


@given(rows=known_batches, class_weights=weights | st.none(), smoothing=st.floats(0, 1))
def test_loss_and_gradient_are_those_of_torch(rows: Rows, class_weights, smoothing):
    logits, label = tensors(rows)
    loss = built({"class_weights": class_weights, "label_smoothing": smoothing})
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    weight = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float64)
    expected = F.cross_entropy(theirs, label, weight, label_smoothing=smoothing)
    found = loss(ours, label)[0]
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(
        torch.autograd.grad(found, ours), torch.autograd.grad(expected, theirs), atol=1e-9, rtol=1e-9
    )


@given(rows=known_batches, class_weights=weights, smoothing=st.floats(0, 1))
def test_the_plain_mean_is_that_of_torchs_single_losses(rows: Rows, class_weights, smoothing):
    logits, label = tensors(rows)
    settings = {"class_weights": class_weights, "label_smoothing": smoothing, "reduction": "mean"}
    weight = torch.tensor(class_weights, dtype=torch.float64)
    single = F.cross_entropy(logits, label, weight, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(built(settings)(logits, label)[0], single[label >= 0].mean())


@pytest.mark.parametrize("smoothing", [-0.1, 1.1])
def test_smoothing_is_a_part(smoothing):
    with pytest.raises(ConfigError, match=rf"^model\.loss\.label_smoothing: {smoothing}; expected 0 to 1"):
        built({"label_smoothing": smoothing})
