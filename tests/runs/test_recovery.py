import json
import os
import re
import shutil

import pytest

from bertx.errors import CheckpointError, ConfigError
from bertx.runs.archive import sole_trainer
from bertx.runs.recovery import can_go_on, is_harmless, require_same, was_killed_at_once
from tests.commands import bertx
from tests.training.checkpoints.saved import flip_bit
from tests.training.tiny_run import digests, workplace

CHANGE = "--allow-config-change"
DATA = {"train": {"files": [{"sha256": "a"}]}, "validation": {"files": [{"sha256": "b"}]}}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A folder with a workplace and a run that was trained in one go; tests must not change it."""
    folder = tmp_path_factory.mktemp("straight")
    done = bertx("train", workplace(folder), "-s", folder / "run")
    assert done.status == 0, done.err
    return folder


@pytest.fixture
def place(straight, tmp_path):
    """A copy of it."""
    shutil.copytree(straight, tmp_path / "place")
    return tmp_path / "place"


def train(place, *options, run="run"):
    edits = [part for option in options for part in (("-o", option) if "=" in option else (option,))]
    return bertx("train", place / "tiny.json", "-s", place / run, "--recover", *edits)


def go_back(place, step):
    """Lets a finished run look as if it had been killed some time after a checkpoint."""
    for path in (place / "run" / "checkpoints").iterdir():
        if int(path.name.removeprefix("step-")) > step:
            shutil.rmtree(path)
    for name in ("metrics.json", "model.tar.gz", "metrics_epoch_3.json"):
        (place / "run" / name).unlink()


def lines(place):
    return [json.loads(line) for line in (place / "run" / "metrics.jsonl").read_text().splitlines()]


def test_without_a_run_one_begins(place, straight):
    assert train(place, run="other").status == 0
    assert digests(place / "other") == digests(straight / "run")


def test_a_finished_run_finishes_again(place, straight):
    done = train(place)
    assert done.status == 0
    assert json.loads((straight / "run" / "metrics.json").read_text()) == done.json
    assert digests(place / "run") == digests(straight / "run")
    assert "step-00000040: going on from here" in done.err


def test_an_interrupted_run_ends_as_if_it_had_not_been(place, straight):
    go_back(place, 39)
    assert train(place).status == 0
    assert digests(place / "run") == digests(straight / "run")


def test_a_broken_newest_checkpoint_costs_one_and_is_told(place, straight):
    go_back(place, 40)
    broken = place / "run" / "checkpoints" / "step-00000040" / "state.json"
    flip_bit(broken, 1000)
    done = train(place)
    assert done.status == 0
    assert f"warning: {broken}: has changed since it was written, or was cut short" in done.err
    assert digests(place / "run") == digests(straight / "run")


def test_nothing_but_broken_checkpoints_is_an_error(place):
    for path in (place / "run" / "checkpoints").glob("*/manifest.json"):
        path.unlink()
    done = train(place)
    assert done.status == 4
    assert "checkpoints: none of the 2 checkpoints is whole; --force trains anew" in done.err


def test_more_epochs_go_on_if_the_change_is_allowed(place):
    refused = train(place, "trainer.num_epochs=6")
    assert refused.status == 2
    assert refused.err.strip().splitlines()[-3:] == [
        f"{place / 'run'}: the config has changed:",
        "  trainer.num_epochs: 4 -> 6",
        "add --allow-config-change to go on with it",
    ]
    assert train(place, "trainer.num_epochs=6", CHANGE).json["epoch"] == 5
    assert [line["step"] for line in lines(place) if line["kind"] == "step"] == list(range(1, 61))


def test_a_refusal_leaves_the_run_as_it_was(place, straight):
    train(place, "trainer.num_epochs=6")
    for name in ("config.json", "environment.json", "metrics.jsonl", "best/model.safetensors"):
        assert (place / "run" / name).read_bytes() == (straight / "run" / name).read_bytes()


def test_changes_that_are_not_harmless_are_refused_even_if_allowed(place):
    edits = ("trainer.optimizer.lr=0.5", "model.dropout=0.3", "trainer.patience=3")
    done = train(place, *edits, CHANGE)
    assert done.status == 2
    assert f"{place / 'run'}: cannot go on with another config:\n" in done.err
    assert "  model.dropout: 0.1 -> 0.3\n" in done.err
    assert "  trainer.optimizer.lr: 0.003 -> 0.5\n" in done.err
    assert "undo these changes, or train anew in another folder" in done.err


def test_a_change_that_is_allowed_is_told_and_kept(place):
    done = train(place, "trainer.num_epochs=5", "trainer.patience=9", CHANGE)
    told = [line for line in done.err.splitlines() if line.startswith("config changed: ")]
    config = json.loads((place / "run" / "config.json").read_text())
    assert sorted(told) == [
        "config changed: trainer.num_epochs: 4 -> 5",
        "config changed: trainer.patience: null -> 9",
    ]
    assert (config["trainer"]["num_epochs"], config["trainer"]["patience"]) == (5, 9)


@pytest.mark.parametrize("edit", ["trainer.num_epochs=3", "trainer.num_epochs=1", "trainer.max_steps=7"])
def test_a_training_that_is_to_be_shorter_than_it_was_just_ends(place, edit):
    go_back(place, 39)  # within the fourth epoch
    assert train(place, edit, CHANGE).status == 0
    assert [line["step"] for line in lines(place) if line["kind"] == "step"] == list(range(1, 40))


def test_patience_that_had_run_out_can_be_extended(place):
    settings = ("trainer.validation_metric=-loss", "trainer.optimizer.lr=0.3", "trainer.num_epochs=8")
    stopped = train(place, *settings, "trainer.patience=1", run="run-out")
    shutil.rmtree(place / "run")
    (place / "run-out").rename(place / "run")
    steps = lines(place)[-2]["step"]
    extended = train(place, *settings, "trainer.patience=100", CHANGE)
    assert (stopped.status, extended.status) == (0, 0)
    assert steps < 80 == max(line.get("step", 0) for line in lines(place))


@pytest.mark.parametrize(("name", "status"), [("train.jsonl", 4), ("dev.jsonl", 4)])
def test_changed_data_are_refused(place, name, status):
    lines = (place / name).read_text().splitlines(keepends=True)
    (place / name).write_text("".join(reversed(lines)))
    done = train(place)
    split = {"train.jsonl": "train", "dev.jsonl": "validation"}[name]
    assert done.status == status
    assert done.err.endswith(
        f"run: the {split} data have changed since the run was begun; restore the files, or train anew in "
        "another folder\n"
    )


def test_equal_data_of_another_date_are_the_same(place):
    os.utime(place / "train.jsonl", (1, 1))
    assert train(place).status == 0


def test_another_limit_is_refused(place):
    done = train(place, "--limit=8".replace("=", " ").split()[0], "8")
    assert done.status == 2
    assert "was begun with --limit None, and goes on only with the same, not with 8" in done.err


@pytest.mark.parametrize("left", [("out.log",), ("out.log", "config.json", "config.jsonnet", "vocabulary")])
def test_a_run_that_was_killed_while_it_began_begins_again(place, straight, left):
    for path in (place / "run").iterdir():
        if path.name not in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (place / "run" / ".encoder.0123456789ab.part").touch()
    assert train(place).status == 0
    assert digests(place / "run") == digests(straight / "run")


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(place, straight):
    go_back(place, 0)
    done = train(place)
    assert (done.status, digests(place / "run")) == (0, digests(straight / "run"))
    assert f"{place / 'run'}: was stopped before its first checkpoint; starting again" in done.err


def test_a_folder_of_something_else_is_left_alone(place):
    (place / "mine").mkdir()
    (place / "mine" / "out.log").touch()
    (place / "mine" / "thesis.tex").touch()
    done = train(place, run="mine")
    assert done.status == 2
    assert "exists and is not empty" in done.err
    assert sorted(os.listdir(place / "mine")) == ["out.log", "thesis.tex"]


def test_what_a_kill_left_half_written_is_removed(place, straight):
    left = [".config.json.0123456789ab.part", "best/.tmpAb3dEf", "best/.model.safetensors.0123456789ab.part"]
    for name in left:
        (place / "run" / name).write_bytes(b"half")
    (place / "run" / "checkpoints" / ".step-00000043.0123456789ab.part").mkdir()
    assert train(place).status == 0
    assert digests(place / "run") == digests(straight / "run")


def test_a_checkpoint_that_was_about_to_be_replaced_is_used(place, straight):
    checkpoints = place / "run" / "checkpoints"
    (checkpoints / "step-00000040").rename(checkpoints / ".step-00000040.old.part")
    assert "step-00000040: going on from here" in train(place).err
    assert digests(place / "run") == digests(straight / "run")


def test_better_weights_outlive_going_back_to_an_older_checkpoint(place, straight):
    go_back(place, 39)
    edited = place / "run" / "checkpoints"
    shutil.copytree(straight / "run" / "best", place / "best")
    done = train(place, "trainer.max_seconds=1e-9", CHANGE)
    assert done.status == 0, edited
    assert digests(place / "run" / "best") == digests(place / "best")


def test_force_and_recover_exclude_each_other(place):
    done = train(place, "--force")
    assert done.status == 2
    assert "--force moves away the run that --recover goes on with; drop one" in done.err


def begun(folder, config, **circumstances):
    """Writes what a run begins with."""
    (folder / "config.json").write_text(json.dumps(config))
    environment = {"limit": None, "data": DATA, **circumstances}
    (folder / "environment.json").write_text(json.dumps(environment))


def check(folder, config, *, allow=False, **circumstances):
    now = {"limit": None, "data": DATA, **circumstances}
    require_same(folder, config, now, allow_config_change=allow)


@pytest.mark.parametrize(
    ("key", "harmless"),
    [
        ("trainer.num_epochs", True),
        ("trainer.callbacks.0.every", True),
        ("trainer.checkpointer.save_every", True),
        ("distributed.num_processes", True),
        ("trainer.optimizer.lr", False),
        ("trainer.precision", False),
        ("data_loader.batch_size", False),
        ("data_loader.num_workers", True),
        ("random_seed", False),
        ("train_data_path", False),
    ],
)
def test_harmless_is_what_changes_no_step(key, harmless):
    assert is_harmless(key) == harmless


def test_the_same_config_in_another_order_is_the_same(tmp_path):
    begun(tmp_path, {"a": {"x": 1, "y": [1, 2]}, "b": None})
    check(tmp_path, {"b": None, "a": {"y": [1, 2], "x": 1}})


def test_keys_that_came_and_went_are_shown(tmp_path):
    begun(tmp_path, {"model": {"old": "x"}})
    lines = '  model.old: "x" -> nothing\n  model.new: nothing -> null\n'
    with pytest.raises(ConfigError, match=re.escape(lines)):
        check(tmp_path, {"model": {"new": None}})


def test_test_data_may_change_and_others_may_not(tmp_path):
    begun(tmp_path, {})
    check(tmp_path, {}, data=DATA | {"test": {"files": [{"sha256": "new"}]}})
    with pytest.raises(CheckpointError, match="the validation data have changed"):
        check(tmp_path, {}, data={"train": DATA["train"]})


@pytest.mark.parametrize("name", ["config.json", "environment.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]"])
def test_a_broken_file_of_the_run_is_named(tmp_path, name, content):
    begun(tmp_path, {})
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name}: (cannot be read|holds no object)"):
        check(tmp_path, {})


def test_a_run_has_begun_when_its_environment_is_written(tmp_path):
    assert not can_go_on(tmp_path)
    assert not was_killed_at_once(tmp_path)
    (tmp_path / "out.log").touch()
    assert was_killed_at_once(tmp_path)
    begun(tmp_path, {})
    assert can_go_on(tmp_path)
    assert not was_killed_at_once(tmp_path)


def test_two_processes_do_not_train_in_one_folder(place):
    assert train(place).status == 0
    with sole_trainer(place / "run"):
        second = train(place)
    assert second.status == 2
    assert "run: another process is training there" in second.err
    assert train(place).status == 0
