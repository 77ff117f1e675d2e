import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertx.bert.fused.softmax import SHORT, softmax_, softmax_backward_


@given(st.integers(1, SHORT + 8), st.integers(0, 999), st.sampled_from([1.0, 100.0, 1e4]))
def test_it_is_the_softmax_and_its_derivative(length, seed, size):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(6, length, dtype=torch.float64, generator=generator).mul_(size)
    gradient = torch.randn(6, length, dtype=torch.float64, generator=generator)
    scores[0, 1:] = -torch.inf
    leaf = scores.clone().requires_grad_()
    expected = leaf.softmax(dim=-1)
    expected.backward(gradient)
    found = softmax_(scores.clone())
    torch.testing.assert_close(found, expected.detach(), rtol=1e-12, atol=1e-12)
    backward = softmax_backward_(gradient.clone(), found)
    torch.testing.assert_close(backward, leaf.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("length", "dtype"), [(SHORT - 1, torch.float32), (SHORT, torch.bfloat16)])
def test_short_rows_are_summed_in_float32(length, dtype):
    assert softmax_(torch.randn(3, length, dtype=torch.bfloat16)).dtype == dtype
