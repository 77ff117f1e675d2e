import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import bertx.training.optimizers.blockwise_adamw as blockwise_adamw
from bertx.training.optimizers.blockwise_adamw import BlockwiseAdamW

SHAPES = [(50, 17), (3,), (700,), (40, 33), (1, 700), ()]


def groups(parameters):
    return [{"params": parameters[:3], "weight_decay": 0.1}, {"params": parameters[3:], "lr": 1e-2}]


def give_gradient(parameter, reference, kind, generator):
    """Gives the first a gradient in a cheap form, the second the same as torch knows it."""
    dense = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
    if kind == "bfloat16":
        parameter.grad_dtype = torch.bfloat16
        parameter.grad, reference.grad = dense.bfloat16(), dense.bfloat16().to(parameter.dtype)
    elif kind == "sparse" and parameter.dim() == 2:
        rows = torch.randint(len(parameter), (1, 9), generator=generator)
        values = torch.randn(9, parameter.shape[1], generator=generator)
        parameter.grad = torch.sparse_coo_tensor(rows, values, parameter.shape, check_invariants=True)
        reference.grad = parameter.grad.to_dense()
    else:
        parameter.grad, reference.grad = dense, dense.clone()


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["dense", "bfloat16", "sparse"]), st.sampled_from([64, 256, 1 << 19]), st.integers(0, 9)
)
def test_every_form_of_gradient_gives_torchs_step(kind, block, seed):
    generator = torch.Generator().manual_seed(seed)
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    theirs = copy.deepcopy(ours)
    optimizer, reference = BlockwiseAdamW(groups(ours), lr=1e-3), torch.optim.AdamW(groups(theirs), lr=1e-3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise_adamw, "BLOCK", block)
        for _ in range(6):
            for pair in zip(ours, theirs, strict=True):
                give_gradient(*pair, kind, generator)
            norm = torch.nn.utils.clip_grad_norm_(theirs, 2.0)
            assert float(optimizer.gradient_norm()) == pytest.approx(float(norm), rel=1e-5)
            optimizer.gradient_divisor = max(1.0, float(norm) / 2)
            optimizer.step(), reference.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_state_is_torchs_and_goes_both_ways():
    parameters = [nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(2))]
    ours, theirs = BlockwiseAdamW([{"params": parameters}], lr=0.1), torch.optim.AdamW(parameters, lr=0.1)
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 0.5)
    ours.step()
    theirs.load_state_dict(ours.state_dict())
    before = copy.deepcopy(parameters)
    theirs.step()
    after = copy.deepcopy(parameters)
    for parameter, value in zip(parameters, before, strict=True):
        parameter.detach().copy_(value)
    again = BlockwiseAdamW([{"params": parameters}], lr=0.1)
    again.load_state_dict(ours.state_dict())
    again.step()
    torch.testing.assert_close(parameters, after)


def test_mirrors_have_the_values_in_their_own_type():
    parameter = nn.Parameter(torch.randn(70, 9))
    optimizer = BlockwiseAdamW([{"params": [parameter]}], lr=0.1)
    optimizer.mirrors[parameter] = torch.empty(70, 9, dtype=torch.bfloat16)
    for _ in range(2):
        parameter.grad = torch.randn(70, 9)
        optimizer.step()
    assert torch.equal(optimizer.mirrors[parameter], parameter.detach().bfloat16())


def test_doubles_are_scaled_as_doubles():
    ours = [nn.Parameter(torch.randn(30, 7, dtype=torch.float64))]
    theirs = copy.deepcopy(ours)
    optimizer, reference = BlockwiseAdamW([{"params": ours}], lr=0.1), torch.optim.AdamW(theirs, lr=0.1)
    ours[0].grad = torch.randn(30, 7, dtype=torch.float64) * 1e-8
    theirs[0].grad = ours[0].grad / 3
    optimizer.gradient_divisor = 3.0
    optimizer.step(), reference.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=1e-14)


def test_a_group_without_gradients_stays_as_it_is():
    frozen, trained = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))
    optimizer = BlockwiseAdamW([{"params": [frozen]}, {"params": [trained]}], lr=0.1)
    trained.grad = torch.ones(2)
    assert float(optimizer.gradient_norm()) == pytest.approx(2**0.5)
    optimizer.step()
    assert torch.equal(frozen, torch.ones(3)) and frozen not in optimizer.state
    assert bool((trained < 1).all())
