import subprocess
import sys

import orjson
import pytest

from bertx.config.construct import plan
from bertx.errors import ConfigError
from bertx.training.callbacks.trainer_callback import TrainerCallback
from tests.training.callbacks.test_tensorboard import points
from tests.training.tiny import make_model, make_split, make_trainer, records

FILE = "parameter_statistics.jsonl"


@pytest.mark.parametrize("name", ["mlflow", "tensorboard", "wandb"])
def test_a_missing_package_is_told_when_the_callback_is_made(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    message = rf'"{name}" needs the package {name}, which .*; pip install "bertx\[{name}\]", or take'
    with pytest.raises(ConfigError, match=message):
        plan(TrainerCallback, name).build()


def test_importing_the_trackers_imports_none_of_their_packages():
    modules = ", ".join(f"bertx.training.callbacks.{name}" for name in ("mlflow", "tensorboard", "wandb"))
    code = f"import sys, {modules}; print(sorted({{'mlflow', 'tensorboard', 'wandb'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


class Stopping(TrainerCallback):
    """Ends a training within a step, as an error does."""

    def __init__(self, at):
        self.at = at

    def on_step(self, context, step):
        if step.step == self.at:
            raise RuntimeError("stopped")


def trained(folder, *, stop_at=None):
    """Trains 8 steps with a checkpoint after every third, from where the run is."""
    settings = {
        "num_epochs": 2,
        "validate_every": 2,
        "checkpointer": {"save_every": 3},
        "callbacks": [{"type": name, "every": 1} for name in ("tensorboard", "parameter_statistics")],
    }
    splits = [make_split(folder, records(count), name=f"{count}.jsonl") for count in (16, 8)]
    trainer = make_trainer(
        make_model(), splits[0], settings, validation=splits[1], folder=folder, callbacks=[Stopping(stop_at)]
    )
    trainer.recover()
    trainer.train()


@pytest.fixture
def runs(tmp_path):
    """A training that was not stopped, and one that was and has gone on."""
    whole, stopped = (tmp_path / name for name in ("whole", "stopped"))
    for folder in (whole, stopped):
        folder.mkdir()
    trained(whole)
    with pytest.raises(RuntimeError, match="stopped"):
        trained(stopped, stop_at=6)
    trained(stopped)
    return whole, stopped


def test_a_training_that_was_stopped_has_the_points_of_one_that_was_not(runs):
    whole, stopped = map(points, runs)
    assert [step for step, _ in whole["train/loss"]] == list(range(1, 9))
    assert [step for step, _ in whole["validation/accuracy"]] == [2, 4, 6, 8]
    assert stopped == whole


def test_statistics_of_a_stopped_training_are_those_of_one_that_was_not(runs):
    whole, stopped = (
        [orjson.loads(line)["parameters"] for line in (folder / FILE).read_bytes().splitlines()]
        for folder in runs
    )
    assert len(whole) == 8 and stopped == whole
