import pytest
import torch
from torch.nn import functional as F

from bertx.config.construct import plan
from bertx.training.objectives.objective import Objective, Plain, divergence
from tests.training.objectives.passes import assert_same, forward, gradients, gradients_of, make_model


def test_the_default_takes_the_models_own_loss():
    model = make_model()
    output, found = gradients(plan(Objective, {}).build(), model)
    expected = forward(model, seed=1)["loss"]
    assert isinstance(plan(Objective, {}).build(), Plain)
    assert output["loss"].item() == expected.item()
    assert_same(found, gradients_of(expected, model))


def test_the_divergence_of_known_distributions():
    half = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    quarter = torch.tensor([[0.0, torch.tensor(3.0).log()], [0.0, 0.0]])
    expected = 0.5 * torch.tensor(2.0).log() + 0.5 * torch.tensor(2 / 3).log()  # of the first row
    assert divergence(half, quarter, {}).item() == pytest.approx(expected.item() / 2)
    assert divergence(half, quarter, {"num_targets": torch.tensor(4.0)}).item() == pytest.approx(expected / 4)


def test_divergences_of_parts_put_together_are_that_of_the_whole():
    taught, learning = torch.randn(6, 3), torch.randn(6, 3)
    sizes = torch.tensor([0.5, 2.5])  # sums of class weights, say
    parts = [
        divergence(taught[rows], learning[rows], {"num_targets": size})
        for rows, size in zip((slice(2), slice(2, None)), sizes, strict=True)
    ]
    whole = divergence(taught, learning, {"num_targets": sizes.sum()})
    torch.testing.assert_close((torch.stack(parts) * sizes).sum() / sizes.sum(), whole)
    expected = F.kl_div(learning.log_softmax(1), taught.softmax(1), reduction="sum") / 3
    torch.testing.assert_close(whole, expected)
