import logging
import os
import re
import time

import pytest

from bertx.errors import CheckpointError, ConfigError
from bertx.training.checkpoints.checkpointer import Checkpointer
from bertx.training.checkpoints.folder import MANIFEST
from tests.training.checkpoints.saved import checkpoint, flip_bit


def saved(folder, steps, **settings):
    """Saves after some steps; returns the checkpointer."""
    checkpointer = Checkpointer(**settings, folder=folder)
    for step in steps:
        checkpointer.save(step, checkpoint(step))
    return checkpointer


def steps_in(folder):
    return sorted(int(path.name.removeprefix("step-")) for path in (folder / "checkpoints").iterdir())


def age(folder, **seconds):
    for name, old in seconds.items():
        then = time.time() - old
        os.utime(folder / "checkpoints" / f"step-{int(name[1:]):08d}", (then, then))


def due(checkpointer, steps):
    return [step for step in steps if checkpointer.is_due(step, epoch_ended=False)]


def test_it_is_due_every_so_many_steps_and_after_epochs(tmp_path):
    checkpointer = Checkpointer(save_every=4, folder=tmp_path)
    assert due(checkpointer, range(1, 13)) == [4, 8, 12]
    assert checkpointer.is_due(3, epoch_ended=True)
    assert not Checkpointer(save_completed_epochs=False, folder=tmp_path).is_due(3, epoch_ended=True)


def test_it_is_due_when_time_has_passed_since_the_last_one(tmp_path):
    checkpointer = Checkpointer(save_every_num_seconds=0.2, folder=tmp_path)
    assert not checkpointer.is_due(1, epoch_ended=False)
    time.sleep(0.2)
    assert checkpointer.is_due(2, epoch_ended=False)
    checkpointer.save(2, checkpoint(2))
    assert not checkpointer.is_due(3, epoch_ended=False)


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, [4, 5]),
        ({"keep_most_recent_by_count": 1}, [5]),
        ({"keep_most_recent_by_count": None}, [1, 2, 3, 4, 5]),
    ],
)
def test_so_many_are_kept(tmp_path, settings, left):
    saved(tmp_path, range(1, 6), **settings)
    assert steps_in(tmp_path) == left


def test_those_of_the_last_time_are_kept(tmp_path):
    settings = {"keep_most_recent_by_count": None, "keep_most_recent_by_age": 60.0}
    checkpointer = saved(tmp_path, [1, 2, 3], **settings)
    age(tmp_path, s1=100, s2=50)
    checkpointer.save(4, checkpoint(4))
    assert steps_in(tmp_path) == [2, 3, 4]


def test_one_rule_is_enough_to_be_kept(tmp_path):
    settings = {"keep_most_recent_by_count": 2, "keep_most_recent_by_age": 60.0}
    checkpointer = saved(tmp_path, [1, 2, 3], **settings)
    age(tmp_path, s1=100, s2=50, s3=100)
    checkpointer.save(4, checkpoint(4))
    assert steps_in(tmp_path) == [2, 3, 4]


def test_the_newest_is_kept_however_old(tmp_path):
    saved(tmp_path, [1], keep_most_recent_by_count=None, keep_most_recent_by_age=1e-9)
    time.sleep(0.01)
    assert steps_in(tmp_path) == [1]


def test_there_are_never_more_than_wanted_but_for_the_one_being_written(tmp_path):
    checkpointer, counts = Checkpointer(keep_most_recent_by_count=2, folder=tmp_path), []
    for step in range(3, 63, 3):
        checkpointer.save(step, checkpoint(step))
        counts.append(len(steps_in(tmp_path)))
    assert counts == [1] + 19 * [2]


def test_other_files_are_no_checkpoints_and_are_left_alone(tmp_path):
    (tmp_path / "checkpoints" / "step-00000009.copy").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-00000010").touch()
    checkpointer = saved(tmp_path, [1, 2, 3])
    assert checkpointer.newest().state["number"] == 3
    assert (tmp_path / "checkpoints" / "step-00000009.copy").is_dir()


def test_the_newest_is_that_of_the_highest_step_however_many_digits(tmp_path):
    assert saved(tmp_path, [99_999_999, 100_000_000]).newest().state["number"] == 100_000_000


def test_a_broken_newest_one_is_named_and_the_one_before_is_used(tmp_path, caplog):
    checkpointer = saved(tmp_path, [1, 2])
    broken = tmp_path / "checkpoints" / "step-00000002" / "state.safetensors"
    flip_bit(broken, 400)
    with caplog.at_level(logging.WARNING, "bertx"):
        assert checkpointer.newest().state["number"] == 1
    expected = (
        f"{broken}: has changed since it was written, or was cut short; the checkpoint before it is used"
    )
    assert caplog.messages == [expected]
    assert steps_in(tmp_path) == [1, 2]


def test_a_deletion_that_a_kill_prevented_is_made_up_for(tmp_path):
    checkpointer = saved(tmp_path, [1, 2, 3, 4], keep_most_recent_by_count=None)
    checkpointer.count = 2
    checkpointer.delete_old(3)
    assert steps_in(tmp_path) == [2, 3, 4]


@pytest.mark.parametrize("count", [1, 2])
def test_a_broken_one_is_never_kept_in_place_of_a_whole_one(tmp_path, count):
    checkpointer = saved(tmp_path, [10, 20], keep_most_recent_by_count=2)
    (tmp_path / "checkpoints" / "step-00000020" / MANIFEST).unlink()
    checkpointer.count = count
    assert checkpointer.newest().state["number"] == 10
    checkpointer.save(15, checkpoint(15))
    assert steps_in(tmp_path) == [10, 15][-count:]
    assert checkpointer.newest().state["number"] == 15


def test_nothing_but_broken_ones_is_an_error(tmp_path):
    checkpointer = saved(tmp_path, [1, 2])
    for step in (1, 2):
        (tmp_path / "checkpoints" / f"step-{step:08d}" / "model.safetensors").write_bytes(b"")
    message = (
        f"{tmp_path / 'checkpoints'}: none of the 2 checkpoints is whole; --force trains anew and moves this "
        "run aside"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        checkpointer.newest()


def test_without_any_there_is_nothing_to_go_on_from(tmp_path):
    assert Checkpointer(folder=tmp_path).newest() is None
    assert Checkpointer().newest() is None


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(None, [1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["save_every", "save_every_num_seconds", "keep_most_recent_by_count", "keep_most_recent_by_age"],
)
def test_numbers_that_are_not_positive_are_refused(name):
    message = rf"^trainer\.checkpointer\.{name}: 0; expected more than 0, or null$"
    with pytest.raises(ConfigError, match=message):
        Checkpointer(**{name: 0})
