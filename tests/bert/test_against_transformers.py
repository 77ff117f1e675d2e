"""Every head computes what `transformers` computes: outputs, losses and gradients, over random cases."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bertx.bert.checkpoints.huggingface import parameters_by_name, with_present_names
from tests.bert.both_heads import HEADS, Random, both, differences, random_config, random_inputs

CASES = 200


@pytest.mark.parametrize("head", HEADS)
def test_outputs_and_gradients_are_those_of_transformers(head):
    for seed in range(CASES):
        assert_equal(head, Random(seed))


def assert_equal(head: str, random: Random) -> None:
    reference, ours = both(head, random_config(head, random), random.seed)
    inputs = random_inputs(head, ours.config, random)
    asked = {"output_hidden_states": random.chance(), "output_attentions": random.chance()}
    if ours.config.is_decoder:
        asked["use_cache"] = False
    wanted, got = reference(**inputs, **asked), ours(**inputs, **asked)
    assert differences(wanted, got) < 1e-5, (head, random.seed)
    expected = with_present_names(Path("gradients"), gradients(reference, scalar(wanted)))
    found = gradients(ours, scalar(got))
    found = {name: found[ours_name] for name, ours_name in names(ours).items() if ours_name in found}
    assert found.keys() == expected.keys()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def scalar(output: dict[str, Tensor]) -> Tensor:
    """The loss, or where there is none some number that depends on every value."""
    if output.get("loss") is not None:
        return output["loss"]
    values = [value for value in output.values() if isinstance(value, Tensor)]
    return sum((value * torch.arange(value.numel()).view_as(value).sin()).sum() for value in values)


def gradients(model: nn.Module, value: Tensor) -> dict[str, Tensor]:
    value.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def names(model: nn.Module) -> dict[str, str]:
    """Our name of each parameter by its name in files."""
    ours = {id(parameter): name for name, parameter in model.named_parameters()}
    return {name: ours[id(parameter)] for name, parameter in parameters_by_name(model).items()}
