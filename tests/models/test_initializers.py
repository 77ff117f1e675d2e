import logging
import re

import pytest
import torch
from torch import nn

from bertx.config.construct import plan
from bertx.errors import ConfigError
from bertx.models.initializers import (
    Constant,
    Initializer,
    InitializerApplicator,
    KaimingUniform,
    Normal,
    Orthogonal,
    Uniform,
    XavierUniform,
    Zero,
)


def filled(initializer: Initializer, rows: int = 200, columns: int = 300) -> torch.Tensor:
    torch.manual_seed(0)
    tensor = torch.full((rows, columns), torch.nan)
    initializer(tensor)
    return tensor


def test_fixed_values():
    assert filled(Constant(1.5)).unique().tolist() == [1.5]
    assert filled(Zero()).unique().tolist() == [0.0]


def test_a_normal_distribution_has_its_mean_and_deviation():
    drawn = filled(Normal(mean=3.0, std=0.5))
    assert drawn.mean().item() == pytest.approx(3.0, abs=0.01)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.01)
    assert filled(Normal()).std().item() == pytest.approx(0.1, abs=0.002)


@pytest.mark.parametrize(
    ("initializer", "low", "high"),
    [
        (Uniform(-2.0, 5.0), -2.0, 5.0),
        (Uniform(), 0.0, 1.0),
        (XavierUniform(gain=2.0), -2 * (6 / 500) ** 0.5, 2 * (6 / 500) ** 0.5),
        (KaimingUniform(), -((6 / 300) ** 0.5), (6 / 300) ** 0.5),
        (KaimingUniform(a=1.0, mode="fan_out"), -((3 / 200) ** 0.5), (3 / 200) ** 0.5),
    ],
)
def test_an_even_distribution_fills_its_interval(initializer, low, high):
    drawn = filled(initializer)
    assert drawn.min().item() == pytest.approx(low, abs=1e-3)
    assert drawn.max().item() == pytest.approx(high, abs=1e-3)
    assert drawn.mean().item() == pytest.approx((low + high) / 2, abs=0.02)


def test_an_orthogonal_matrix_keeps_lengths():
    matrix = filled(Orthogonal(gain=2.0), 8, 8)
    torch.testing.assert_close(matrix @ matrix.T, 4 * torch.eye(8), atol=1e-5, rtol=0)


def values(applicator: InitializerApplicator) -> dict[str, float]:
    """The first value of each parameter of a small network of ones."""
    network = nn.ModuleDict({"low": nn.Linear(2, 2), "high": nn.Linear(2, 2)})
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    applicator(network)
    return {name: parameter.flatten()[0].item() for name, parameter in network.named_parameters()}


def test_the_first_match_wins_and_the_rest_stay():
    found = values(InitializerApplicator([("low.*weight", Constant(2.0)), ("weight", Constant(3.0))]))
    assert found == {"low.weight": 2.0, "low.bias": 1.0, "high.weight": 3.0, "high.bias": 1.0}


def test_prevention_goes_before_every_match():
    found = values(InitializerApplicator([("weight|bias", Constant(2.0))], ["high", "^low.bias$"]))
    assert found == {"low.weight": 2.0, "low.bias": 1.0, "high.weight": 1.0, "high.bias": 1.0}


def test_an_empty_applicator_changes_nothing():
    assert set(values(InitializerApplicator()).values()) == {1.0}


def test_an_expression_that_picks_nothing_is_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        values(InitializerApplicator([("bias", Zero()), ("low.bias", Zero()), ("lwo", Zero())]))
    names = "low.weight, low.bias, high.weight, high.bias"
    assert [record.getMessage() for record in caplog.records] == [
        f'initializer: "low.bias" picks none of the parameters {names}',
        f'initializer: "lwo" picks none of the parameters {names}',
    ]


def test_a_vector_has_no_fan_in():
    message = (
        "initializer: low.bias, of shape (2,), cannot be filled: Fan in and fan out can not be computed for "
        "tensor with fewer than 2 dimensions; change its initializer, or the expression that picks it"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        values(InitializerApplicator([("bias", XavierUniform())]))


def test_a_config_pairs_expressions_with_initializers():
    config = {"regexes": [["weight", {"type": "constant", "val": 5}], ["bias", "zero"]]}
    found = values(plan(InitializerApplicator, config).build())
    assert found == {"low.weight": 5.0, "low.bias": 0.0, "high.weight": 5.0, "high.bias": 0.0}
