import math
import re

import pytest
import torch
from torch import nn

from bertx.models.initializers.drawn import (
    block_orthogonal,
    constant,
    dirac,
    eye,
    kaiming_normal,
    kaiming_uniform,
    lstm_hidden_bias,
    normal,
    orthogonal,
    sparse,
    uniform,
    uniform_unit_scaling,
    xavier_normal,
    xavier_uniform,
    zero,
)
from bertx.models.initializers.initializer import Initializer, Prevent


def filled(initializer: Initializer, *shape: int) -> torch.Tensor:
    torch.manual_seed(0)
    tensor = torch.full(shape or (200, 300), torch.nan)
    initializer(tensor, "weight")
    return tensor


def test_fixed_values():
    assert filled(constant(1.5)).unique().tolist() == [1.5]
    assert filled(zero()).unique().tolist() == [0.0]
    assert filled(eye(), 2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert filled(Prevent()).isnan().all()


@pytest.mark.parametrize(
    ("initializer", "mean", "std"),
    [
        (normal(), 0.0, 0.1),
        (normal(mean=3.0, std=0.5), 3.0, 0.5),
        (xavier_normal(gain=2.0), 0.0, 2 * math.sqrt(2 / 500)),
        (kaiming_normal(), 0.0, math.sqrt(2 / 300)),
        (kaiming_normal(mode="fan_out", nonlinearity="linear"), 0.0, math.sqrt(1 / 200)),
    ],
)
def test_a_normal_distribution_has_its_mean_and_deviation(initializer, mean, std):
    drawn = filled(initializer)
    assert drawn.mean().item() == pytest.approx(mean, abs=0.01)
    assert drawn.std().item() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize(
    ("initializer", "low", "high"),
    [
        (uniform(-2.0, 5.0), -2.0, 5.0),
        (uniform(), 0.0, 1.0),
        (xavier_uniform(gain=2.0), -2 * (6 / 500) ** 0.5, 2 * (6 / 500) ** 0.5),
        (kaiming_uniform(), -((6 / 300) ** 0.5), (6 / 300) ** 0.5),
        (kaiming_uniform(a=1.0, mode="fan_out"), -((3 / 200) ** 0.5), (3 / 200) ** 0.5),
        (uniform_unit_scaling(), -((3 / 200) ** 0.5), (3 / 200) ** 0.5),
        (uniform_unit_scaling("relu"), -((6 / 200) ** 0.5), (6 / 200) ** 0.5),
    ],
)
def test_an_even_distribution_fills_its_interval(initializer, low, high):
    drawn = filled(initializer)
    assert drawn.min().item() == pytest.approx(low, abs=1e-3)
    assert drawn.max().item() == pytest.approx(high, abs=1e-3)
    assert drawn.mean().item() == pytest.approx((low + high) / 2, abs=0.02)


def test_an_orthogonal_matrix_keeps_lengths():
    matrix = filled(orthogonal(gain=2.0), 8, 8)
    torch.testing.assert_close(matrix @ matrix.T, 4 * torch.eye(8), atol=1e-5, rtol=0)


def test_every_block_is_orthogonal():
    matrix = filled(block_orthogonal([4, 4], gain=3.0), 8, 4)
    for block in (matrix[:4], matrix[4:]):
        torch.testing.assert_close(block @ block.T, 9 * torch.eye(4), atol=1e-5, rtol=0)
    assert not torch.equal(matrix[:4], matrix[4:])


@pytest.mark.parametrize("split_sizes", [[3, 4], [4], [0, 4]])
def test_blocks_must_divide_the_matrix(split_sizes):
    message = f"split_sizes {split_sizes} do not divide it into whole blocks"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        filled(block_orthogonal(split_sizes), 8, 4)


def test_a_dirac_convolution_hands_its_input_on():
    convolution, signal = nn.Conv1d(2, 2, 3, padding=1, bias=False), torch.randn(1, 2, 5)
    dirac()(convolution.weight.data, "weight")
    torch.testing.assert_close(convolution(signal), signal)


def test_a_sparse_matrix_has_zeros_in_every_column():
    matrix = filled(sparse(0.25, std=0.5), 200, 30)
    assert (matrix == 0).sum(dim=0).tolist() == [50] * 30
    assert matrix[matrix != 0].std().item() == pytest.approx(0.5, rel=0.03)


def test_only_the_forget_gate_of_an_lstm_is_open():
    assert filled(lstm_hidden_bias(), 8).tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_biases_of_an_lstm_come_in_four_parts():
    with pytest.raises(ValueError, match=r"^the biases of an LSTM are a vector of four equal parts$"):
        filled(lstm_hidden_bias(), 6)
