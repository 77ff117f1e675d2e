import math

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bertx.errors import ConfigError
from bertx.training.callbacks.tensorboard import TensorBoardTracker
from tests.training.callbacks.following import context, play, play_twice, step


def points(folder):
    """Reads what TensorBoard would show: for each name, steps and values."""
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def steps(folder, name):
    return [number for number, _ in points(folder)[name]]


def test_event_files_hold_steps_validations_and_epochs(tmp_path):
    tracker, where = TensorBoardTracker(every=4), context(tmp_path)
    tracker.on_start(where)
    play(tracker, where)
    tracker.on_end(where)
    assert points(tmp_path) == {
        "train/loss": [(4, 0.25), (8, 0.125), (10, float(np.float32(0.1)))],
        "train/lr": [(4, 0.5), (8, 1.0), (10, 1.25)],
        "train/grad_norm": [(4, 2), (8, 2), (10, 2)],
        "validation/accuracy": [(5, 0.5), (10, 1.0)],
        "epoch/training_loss": [(10, 0.25)],
    }


@pytest.mark.parametrize("validated", [False, True])
def test_a_resumed_training_has_every_point_once(tmp_path, validated):
    play_twice(lambda: TensorBoardTracker(every=1), tmp_path, validated=validated)
    assert steps(tmp_path, "train/loss") == list(range(1, 11))
    assert points(tmp_path)["validation/accuracy"] == [(5, 0.5), (10, 1.0)]


def test_a_training_killed_before_its_first_checkpoint_leaves_no_points(tmp_path):
    for last_step in (3, 10):
        tracker, where = TensorBoardTracker(every=1), context(tmp_path)
        tracker.on_start(where)
        play(tracker, where, last_step)
        tracker.state_dict()  # as a checkpoint that was lost
    tracker.on_end(where)
    assert steps(tmp_path, "train/loss") == list(range(1, 11))


def test_points_of_a_checkpoint_are_on_the_disk(tmp_path):
    tracker, where = TensorBoardTracker(every=1), context(tmp_path)
    tracker.on_start(where)
    play(tracker, where, 3)
    tracker.state_dict()
    assert steps(tmp_path, "train/loss") == [1, 2, 3]


def test_numbers_that_are_not_finite_are_shown_as_they_are(tmp_path):
    tracker, where = TensorBoardTracker(every=1), context(tmp_path)
    tracker.on_start(where)
    tracker.on_step(where, step(1, loss=math.inf))
    tracker.on_end(where)
    assert points(tmp_path)["train/loss"] == [(1, math.inf)]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker, where = TensorBoardTracker(), context(None)
    tracker.on_start(where)
    play(tracker, where)
    tracker.on_end(where)
    assert list(tmp_path.iterdir()) == []


def test_every_must_be_positive():
    with pytest.raises(ConfigError, match=r"^tensorboard\.every: 0; expected at least 1 step$"):
        TensorBoardTracker(every=0)
