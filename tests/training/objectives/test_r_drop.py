import pytest
import torch
from torch.nn import functional as F

from bertx.errors import ConfigError
from bertx.training.objectives.r_drop import RDrop
from tests.training.objectives.passes import LABEL, assert_same, forward, gradients, gradients_of, make_model


@pytest.mark.parametrize("alpha", [0.0, 0.7, 5.0])
def test_loss_and_gradients_are_those_of_the_formula(alpha):
    model = make_model()
    output, found = gradients(RDrop(alpha), model)
    first, second = forward(model, seed=1)["logits"], forward(model)["logits"]
    losses = (F.cross_entropy(first, LABEL) + F.cross_entropy(second, LABEL)) / 2
    p, q = first.softmax(dim=1), second.softmax(dim=1)
    apart = ((p - q) * (p.log() - q.log())).sum(dim=1).mean() / 2
    torch.testing.assert_close(output["loss"], losses + alpha * apart, atol=1e-6, rtol=0)
    assert apart > 1e-4
    assert_same(found, gradients_of(losses + alpha * apart, model))


def test_without_dropout_it_is_the_plain_loss():
    model = make_model().eval()
    output, found = gradients(RDrop(3.0), model)
    loss = forward(model)["loss"]
    torch.testing.assert_close(output["loss"], loss)
    assert_same(found, gradients_of(loss, model))


def test_the_second_pass_is_not_counted():
    model = make_model()
    gradients(RDrop(), model)
    assert model.accuracy.state_dict()["total"] == 4


def test_a_model_without_logits_is_refused():
    message = (
        r'^trainer.objective: "r_drop" compares logits, but the output of this model in training has none '
    )
    with pytest.raises(ConfigError, match=message + r"\(loss\); use another objective$"):
        RDrop()(make_model(), lambda: {"loss": torch.tensor(0.0)}, lambda output: None)


def test_alpha_must_not_be_below_0():
    with pytest.raises(ConfigError, match=r"^trainer.objective.alpha: -1; expected at least 0, such as 1$"):
        RDrop(-1)
