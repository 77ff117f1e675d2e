import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from bertx.bert.frozen.products import (
    ACTIVATIONS,
    FloatProduct,
    Int8Product,
    Quantized,
    quantized,
)

FUNCTIONS = {
    "gelu": F.gelu,
    "gelu_new": lambda values: F.gelu(values, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


@pytest.fixture
def linears():
    torch.manual_seed(0)
    return [nn.Linear(48, 32), nn.Linear(48, 16)]


def plain(linears, inputs):
    with torch.no_grad():
        return torch.cat([linear(inputs) for linear in linears], dim=1)


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(1e-6, 1e6))
def test_quantized_numbers_are_half_a_step_from_the_numbers(rows, size):
    values = torch.randn(rows, 8, generator=torch.Generator().manual_seed(rows)) * size
    whole, scale, zero = quantized(values)
    assert (zero, int(whole.abs().max())) == (0, 127)
    assert float((whole * scale - values).abs().max()) <= scale * 0.501


def test_zeros_are_quantized_as_zeros():
    assert quantized(torch.zeros(2, 3)).values.tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_product_in_float32_is_that_of_the_layers(linears, name):
    inputs = torch.randn(32, 48)
    found = FloatProduct(linears, torch.float32)(inputs, ACTIVATIONS[name])
    torch.testing.assert_close(found, FUNCTIONS[name](plain(linears, inputs)), rtol=1e-5, atol=1e-5)


def test_a_product_in_bfloat16_is_nearly_that_of_the_layers(linears):
    inputs = torch.randn(32, 48)
    found = FloatProduct(linears, torch.bfloat16)(inputs.bfloat16())
    torch.testing.assert_close(found.float(), plain(linears, inputs), rtol=0.02, atol=0.02)


def test_a_product_in_int8_is_that_of_the_rounded_numbers(linears):
    values, scale, _ = quantized(torch.randn(32, 48))
    weight = torch.cat([linear.weight.detach() for linear in linears])
    scales = weight.abs().amax(dim=1) / 127
    rounded = (weight / scales[:, None]).round()
    exact = values.numpy().astype(np.int64) @ rounded.numpy().astype(np.int64).T
    bias = torch.cat([linear.bias.detach() for linear in linears])
    found = Int8Product(linears, torch.float32).of(Quantized(values, scale), ACTIVATIONS["relu"])
    expected = F.relu(torch.from_numpy(exact) * scale * scales + bias).float()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_int8_out_is_the_same_within_half_a_step(linears, name):
    product, inputs = Int8Product(linears, torch.float32), quantized(torch.randn(32, 48))
    exact = product.of(inputs, ACTIVATIONS[name])
    found = product.into_int8(inputs, ACTIVATIONS[name], 0.02, -110)
    numbers = (found.values.float() - found.zero) * found.scale
    expected = exact.clamp((-128 + 110) * 0.02, (127 + 110) * 0.02)
    assert float((numbers - expected).abs().max()) <= 0.0101


@pytest.mark.parametrize("kind", [FloatProduct, Int8Product])
def test_a_product_is_added(linears, kind):
    product, inputs, to = kind(linears, torch.float32), torch.randn(32, 48), torch.randn(32, 48)
    expected = to + product(inputs)
    torch.testing.assert_close(product.added(inputs, to), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_lowest_value_of_an_activation_is_known(name):
    values = FUNCTIONS[name](torch.linspace(-20, 20, 100_001))
    assert ACTIVATIONS[name].lowest <= float(values.min()) < ACTIVATIONS[name].lowest + 0.002
