import logging

import pytest
import torch
from torch import nn

from bertx.config.construct import plan
from bertx.models.model import Model
from bertx.models.regularizers import L1, L2, RegularizerApplicator
from tests.models.tiny import SIZES, vocabulary


@pytest.fixture
def network():
    """Weights [[1, -2]] and [[3, 4]], biases [5] and [6]."""
    network = nn.ModuleDict({"low": nn.Linear(2, 1), "high": nn.Linear(2, 1)})
    for parameter, values in zip(network.parameters(), ([[1, -2]], [5], [[3, 4]], [6]), strict=True):
        parameter.data = torch.tensor(values, dtype=torch.float32)
    return network


def test_l1_and_l2_of_known_numbers():
    weights = torch.tensor([[1.0, -2.0], [0.0, 4.0]])
    assert L1(0.5)(weights).item() == 3.5
    assert L2(0.5)(weights).item() == 10.5
    assert (L1().alpha, L2().alpha) == (0.01, 0.01)


def test_the_first_match_wins_and_the_rest_are_free(network):
    applicator = RegularizerApplicator([("low.*weight", L1(1.0)), ("weight", L2(2.0))])
    assert applicator(network).item() == 3 + 2 * 25


def test_frozen_parameters_are_free(network):
    network["high"].requires_grad_(False)
    assert RegularizerApplicator([("weight", L1(1.0))])(network).item() == 3.0


def test_the_gradient_is_that_of_the_penalty(network):
    RegularizerApplicator([("weight", L2(0.5))])(network).backward()
    assert network["low"].weight.grad.tolist() == [[1.0, -2.0]]
    assert network["low"].bias.grad is None


def test_nothing_picked_is_0_and_warned_about_once(network, caplog):
    applicator = RegularizerApplicator([("weigth", L1())])
    network["high"].requires_grad_(False)
    with caplog.at_level(logging.WARNING):
        assert [applicator(network).item() for _ in range(3)] == [0.0] * 3
    assert [record.getMessage() for record in caplog.records] == [
        'regularizer: "weigth" picks none of the trainable parameters low.weight, low.bias'
    ]


@pytest.mark.parametrize(
    "config",
    [{"regexes": [["bias", {"type": "l1", "alpha": 0.1}]]}, [["bias", {"type": "l1", "alpha": 0.1}]]],
    ids=["object", "list of 0.9"],
)
def test_both_forms_of_allennlp_are_understood(config):
    settings = {"type": "bert_for_classification", "bert_model": SIZES, "regularizer": config}
    model = plan(Model, settings).build(vocab=vocabulary("a", "b"))
    for parameter in model.parameters():
        torch.nn.init.ones_(parameter)
    biases = sum(p.numel() for name, p in model.named_parameters() if "bias" in name)
    assert model.regularization_penalty().item() == pytest.approx(0.1 * biases)
