"""What happens to a step for which the memory does not suffice."""

import logging

import pytest
import torch

from bertx.errors import TrainingError
from tests.training.fragile import Fragile, gradients, split_of, steps_of
from tests.training.tiny import batch_of


@pytest.mark.parametrize("how", ["loss", "gradient"])  # memory may fail forwards and backwards
@pytest.mark.parametrize(("most_rows", "smaller"), [(8, [8]), (5, [6, 3]), (1, [6, 3, 2, 1])])
def test_a_batch_too_large_for_the_memory_is_cut_with_the_same_result(
    tmp_path, caplog, how, most_rows, smaller
):
    split = split_of(tmp_path)
    expected, whole = gradients(Fragile(), split, [range(11)])
    caplog.clear()
    model = Fragile(most_rows=most_rows, how=how)
    found, sums = gradients(model, split, [range(11)] if most_rows != 8 else [range(5), range(5, 11)])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert sums.mean_loss == pytest.approx(whole.mean_loss, rel=1e-6)
    told = [
        f"step 1: out of memory; going on with batches of at most {size} instances, with the same result; a "
        "smaller batch_size with trainer.num_gradient_accumulation_steps is faster"
        for size in smaller
    ]
    assert caplog.messages == (told if most_rows != 8 else [])


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_instances_of_a_batch_that_was_tried_again_are_counted_once(tmp_path, how):
    split = split_of(tmp_path)
    model = Fragile(most_rows=3, how=how)
    gradients(model, split, [range(3), range(3, 11)])
    whole = Fragile()
    gradients(whole, split, [range(11)])
    assert model.accuracy.state_dict() == whole.accuracy.state_dict()


def test_memory_is_free_again_before_a_batch_is_cut(tmp_path):
    class Looks(logging.Handler):
        def emit(self, record):
            freed.append(model.held() is None)

    freed, model, looks = [], Fragile(most_rows=4), Looks()
    logger = logging.getLogger("bertx.training.steps")
    logger.addHandler(looks)
    gradients(model, split_of(tmp_path), [range(8)])
    logger.removeHandler(looks)
    assert freed == [True]


def test_one_instance_too_large_for_the_memory_is_an_error(tmp_path):
    message = (
        r"^step 1: the memory of cpu does not suffice for one instance alone; lower max_pieces of the token "
        r"indexer, or take a smaller encoder$"
    )
    with pytest.raises(TrainingError, match=message):
        gradients(Fragile(most_rows=0), split_of(tmp_path), [range(4)])


def test_a_rehearsal_that_is_too_large_is_cut(tmp_path, caplog):
    split = split_of(tmp_path)
    steps_of(Fragile(most_rows=4), split).rehearse(batch_of(split, range(8)))
    assert caplog.messages[0].startswith(
        "step 0: out of memory; going on with batches of at most 4 instances"
    )
