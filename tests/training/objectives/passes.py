"""Calls an objective as the trainer does, on a batch and a model of random numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bertx.models.bert_for_classification import BertForClassification
from bertx.models.model import Output
from bertx.training.objectives.objective import Objective
from tests.bert.reference import random_batch
from tests.models.tiny import classifier

LABEL = torch.tensor([0, 2, 1, 2])
Gradients = dict[str, Tensor]


def make_model() -> BertForClassification:
    """A classifier of three labels with dropout, in training."""
    torch.manual_seed(0)
    return classifier().train()


def forward(model: nn.Module, seed: int | None = None) -> Output:
    """Runs a model on the batch, with the dropout of a seed."""
    if seed is not None:
        torch.manual_seed(seed)
    output: Output = model(tokens={"bert": random_batch()}, label=LABEL)
    return output


def gradients(objective: Objective, model: BertForClassification, seed: int = 1) -> tuple[Output, Gradients]:
    """Returns the output of an objective and the gradients that the model has then."""
    torch.manual_seed(seed)
    output = objective(model, lambda: forward(model), lambda output: output["loss"].backward())
    return output, {name: tensor.grad.clone() for name, tensor in model.named_parameters()}


def gradients_of(loss: Tensor, model: nn.Module) -> Gradients:
    """Differentiates a loss, beside all objectives."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def assert_same(found: Gradients, expected: Gradients) -> None:
    """Compares gradients to 1e-6."""
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(
            gradient, expected[name], atol=1e-6, rtol=1e-5, msg=lambda m, n=name: n + m
        )
