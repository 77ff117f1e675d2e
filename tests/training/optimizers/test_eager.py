import pytest
import torch
from torch import nn

from bertx.training.optimizers.eager import eager
from tests.training.optimizers.problem import largest_difference, make_parameters, make_steps

KINDS = [torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD]


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_the_same(kind):
    ours, theirs = make_parameters(), make_parameters()
    mine, other = eager(kind)([p for _, p in ours], lr=0.1), kind([p for _, p in theirs], lr=0.1)
    found, expected = (make_steps(*pair, range(5)) for pair in ((mine, ours), (other, theirs)))
    assert largest_difference(found, expected) == 0
    assert repr(mine) == repr(other)
    assert mine.state_dict().keys() == other.state_dict().keys()
    mine.zero_grad()
    assert [p.grad for _, p in ours] == [None] * len(ours)


@pytest.mark.parametrize("kind", KINDS)
def test_a_closure_may_compute_gradients(kind):
    weight = nn.Parameter(torch.tensor([2.0]))
    optimizer = eager(kind)([weight], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 4.0
    assert abs(weight.item()) < 2.0


def test_a_class_stays_of_its_kind():
    assert issubclass(eager(torch.optim.AdamW), torch.optim.AdamW)
