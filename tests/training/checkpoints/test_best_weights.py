import logging
import math
import os

import pytest
import torch
from safetensors import safe_open

from bertx.errors import CheckpointError
from bertx.training.checkpoints.best_weights import BestWeights, Worth
from tests.training.checkpoints.test_folder import room_for


@pytest.fixture
def best(tmp_path):
    return BestWeights(tmp_path / "best" / "model.safetensors", "+accuracy")


def keep(best, *worths):
    """Offers weights that tell their step; returns whose are kept."""
    for step, value in worths:
        best.save({"weight": torch.tensor(float(step))}, Worth(step, value))
    return best.worth().step


@pytest.mark.parametrize(
    ("metric", "values", "kept"),
    [
        ("+accuracy", [0.5, 0.75, 0.25], 2),
        ("-loss", [0.5, 0.75, 0.25], 3),
        ("+accuracy", [0.5, math.nan, 0.25], 1),
        ("+accuracy", [math.nan, 0.25, math.nan], 2),
        ("-loss", [-math.inf, 0.5, math.inf], 1),
        ("+accuracy", [math.nan, math.nan], 2),  # nothing is validated: the last ones
        ("+accuracy", [0.5, 0.5], 2),  # the same place again
    ],
)
def test_only_what_is_not_worse_takes_the_place(tmp_path, metric, values, kept):
    best = BestWeights(tmp_path / "model.safetensors", metric)
    assert keep(best, *enumerate(values, start=1)) == kept


def test_what_is_kept_is_told(best, caplog):
    with caplog.at_level(logging.INFO, "bertx"):
        keep(best, (3, 0.75), (4, 0.5))
    assert caplog.messages == [f"{best.path}: kept, with accuracy 0.75 of step 3; step 4 has 0.5"]


def test_a_value_comes_back_to_the_last_bit(best):
    keep(best, (1, 0.1 + 0.2))
    assert best.worth() == Worth(1, 0.1 + 0.2)


def test_weights_that_were_chosen_by_another_metric_are_replaced(tmp_path):
    path = tmp_path / "model.safetensors"
    keep(BestWeights(path, "+accuracy"), (1, 0.9))
    assert keep(BestWeights(path, "-loss"), (2, 5.0)) == 2


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}", b"no weights"])
def test_a_file_that_cannot_be_read_is_worth_nothing(best, content):
    best.path.parent.mkdir()
    best.path.write_bytes(content)
    assert best.worth() is None
    assert keep(best, (1, 0.1)) == 1


def test_a_full_disk_leaves_the_weights_that_were_there(best):
    keep(best, (1, 0.5))
    with (
        room_for(100),
        pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be written: .*File too large"),
    ):
        best.save({"weight": torch.zeros(1000)}, Worth(2, 0.75))
    assert best.worth() == Worth(1, 0.5)
    assert os.listdir(best.path.parent) == ["model.safetensors"]


def test_the_header_has_one_text_since_several_would_stand_in_random_order(best):
    keep(best, (1, 0.5))
    with safe_open(best.path, framework="pt") as file:
        assert list(file.metadata()) == ["bertx"]
