import copy

import numpy as np
import pytest
import torch
from scipy import stats

from bertx.bert.fused.keep_masks import Dropout, draw_mask

N = 400_000


@pytest.mark.parametrize("probability", [0.0, 0.001, 0.1, 0.5, 0.9])
def test_as_many_elements_are_dropped_as_the_probability_says(probability):
    torch.manual_seed(0)
    mask = draw_mask(N, probability)
    dropped = int((mask.bits == 0).sum())
    assert set(mask.bits.unique().tolist()) <= {0, -1}
    if probability:
        assert stats.binomtest(dropped, N, probability).pvalue > 1e-3
    assert mask.scale == pytest.approx(1 / (1 - probability), rel=1e-4)


def test_elements_are_dropped_independently_of_their_neighbours():
    torch.manual_seed(0)
    dropped = (draw_mask(N, 0.3).bits == 0).numpy().astype(float)
    for lag in (1, 2, 3, 4, 5, 384):
        assert abs(np.corrcoef(dropped[:-lag], dropped[lag:])[0, 1]) < 4 / np.sqrt(N)


def test_masks_follow_from_torchs_generator():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = draw_mask(100, 0.5).bits, draw_mask(100, 0.5).bits
    torch.set_rng_state(state)
    assert torch.equal(draw_mask(100, 0.5).bits, first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_dropout_keeps_the_expectation_and_passes_gradients_where_it_passed_values(dtype):
    torch.manual_seed(0)
    values = torch.ones(1000, 100, dtype=dtype, requires_grad=True)
    output = Dropout(0.25)(values)
    output.sum().backward()
    assert torch.equal(values.grad, output.detach())
    assert float(output.detach().float().mean()) == pytest.approx(1, abs=0.01)
    assert output.unique().tolist() == pytest.approx([0, 4 / 3], rel=1e-2)


def test_dropout_does_nothing_outside_of_training():
    values = torch.randn(5, 4)
    dropout = copy.deepcopy(Dropout(0.5)).eval()
    assert dropout(values) is values
