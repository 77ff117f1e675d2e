import re

import pytest
import torch
from torch.func import functional_call

from bertx.errors import ConfigError
from bertx.training.objectives.fgm import FGM, perturbed
from tests.bert.reference import random_batch
from tests.training.objectives.passes import (
    LABEL,
    assert_same,
    forward,
    gradients,
    gradients_of,
    make_model,
)

WORDS = "bert.embeddings.word.weight"


def by_hand(model, epsilon, names, seed=1):
    """The gradients of the loss and of the loss with moved parameters, added."""
    clean = gradients_of(forward(model, seed)["loss"], model)
    norm = torch.sqrt(sum(clean[name].square().sum() for name in names))
    parameters = dict(model.named_parameters())
    moved = {name: parameters[name] + epsilon * clean[name] / norm for name in names}
    inputs = {"tokens": {"bert": random_batch()}, "label": LABEL}
    loss = functional_call(model, parameters | moved, kwargs=inputs)["loss"]
    other = gradients_of(loss, model)
    return {name: clean[name] + other[name] for name in clean}


@pytest.mark.parametrize("epsilon", [0.1, 2.0])
def test_gradients_are_those_of_the_formula(epsilon):
    model = make_model()
    _, found = gradients(FGM(epsilon), model)
    assert_same(found, by_hand(model, epsilon, [WORDS]))


def test_several_parameters_are_moved_as_one_vector():
    model, names = make_model(), [WORDS, "bert.embeddings.position.weight"]
    _, found = gradients(FGM(0.5, r"embeddings\.(word|position)"), model)
    assert_same(found, by_hand(model, 0.5, names))


def test_the_weights_are_bit_for_bit_what_they_were():
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients(FGM(1e-3), model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_weights_come_back_after_an_error():
    parameter = torch.nn.Parameter(torch.tensor([0.1, 0.2]))
    with pytest.raises(MemoryError), perturbed([parameter], [torch.tensor([1.0, -3.0])]):
        assert parameter.tolist() == pytest.approx([1.1, -2.8])
        raise MemoryError
    assert torch.equal(parameter, torch.tensor([0.1, 0.2]))


def test_earlier_gradients_stay_and_do_not_turn_the_perturbation():
    model = make_model()
    expected = by_hand(model, 0.5, [WORDS])
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    _, found = gradients(FGM(0.5), model)
    assert_same(found, {name: gradient + 1 for name, gradient in expected.items()})


def test_the_reported_loss_is_that_of_the_batch_and_counted_once():
    model = make_model()
    output, _ = gradients(FGM(5.0), model)
    assert model.accuracy.state_dict()["total"] == 4
    assert output["loss"].item() == forward(model, seed=1)["loss"].item()


def test_without_a_direction_nothing_moves():
    model = make_model().eval()
    output = {"loss": sum(parameter.sum() * 0 for parameter in model.parameters())}
    seen = []

    def pass_through():
        seen.append(model.bert.embeddings.word.weight.detach().clone())
        return output

    FGM()(model, pass_through, lambda output: output["loss"].backward(retain_graph=True))
    assert len(seen) == 2 and torch.equal(seen[0], seen[1])


def test_shards_are_refused(monkeypatch):
    model = make_model()
    monkeypatch.setattr(torch.nn.Parameter, "full_tensor", None, raising=False)
    message = (
        'trainer.objective: "fgm" needs the gradient of a whole parameter, of which each process has a shard '
        'only; set distributed.strategy to "ddp"'
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        gradients(FGM(), model)


def test_an_expression_that_picks_nothing_trained_is_refused():
    model = make_model()
    model.bert.requires_grad_(False)
    message = (
        r'trainer.objective.parameter: "embeddings\.word\.weight$" picks none of the trained parameters '
        "(classifier.weight, classifier.bias); perturb another one, or let the embeddings be trained"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        gradients(FGM(), model)


def test_epsilon_must_be_above_0():
    with pytest.raises(ConfigError, match=r"^trainer.objective.epsilon: 0; expected more than 0, such as 1$"):
        FGM(0)
