"""Runs that are killed, stopped or whose disk fails, and that end as if nothing had been."""

import errno
import json
import os
import subprocess
import sys

import pytest
import torch

from tests.commands import bertx
from tests.conftest import REPOSITORY
from tests.training.tiny_run import digests, workplace

SIGNALLING = '''
import os, signal
from pathlib import Path

from bertx import Model, TrainerCallback
from bertx.models.bert_for_classification import BertForClassification


def send(*names):
    """Sends this process signals, once in a life and the next."""
    if not Path("sent").exists():
        Path("sent").touch()
        for name in names:
            os.kill(os.getpid(), getattr(signal, name))


@TrainerCallback.register("sends")
class Sends(TrainerCallback):
    """Sends signals after a step, or while a checkpoint is made."""

    def __init__(self, signals: list[str], step: int = 5, saving: bool = False) -> None:
        self.signals, self.step, self.saving, self.done = signals, step, saving, 0

    def on_step(self, context, step):
        self.done = step.step
        if step.step == self.step and not self.saving:
            send(*self.signals)

    def state_dict(self):
        if self.saving and self.done == self.step:
            send(*self.signals)
        return {}


@Model.register("sends_while_validated")
class SendsWhileValidated(BertForClassification):
    """Sends SIGTERM in the second validation."""

    def forward(self, tokens, label=None):
        self.trained = getattr(self, "trained", 0) + self.training
        if not self.training and self.trained == 8:
            send("SIGTERM")
        return super().forward(tokens, label)
'''


def verdicts(place, *arguments):
    """What is wrong with each of the runs that a child process has treated badly."""
    command = [sys.executable, "-m", "tests.training.interrupted", place, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def test_killed_runs_go_on_and_end_bit_equal(tmp_path):
    assert verdicts(tmp_path, "kill", 4, 1) == [""] * 8


def test_single_failures_of_a_full_disk_cost_no_checkpoint(tmp_path):
    assert verdicts(tmp_path, "fail", errno.ENOSPC, 0, 10) == [""] * 6


@pytest.mark.slow
def test_a_hundred_killed_runs_go_on_and_end_bit_equal(tmp_path):
    assert verdicts(tmp_path, "kill", 50, 2) == [""] * 100


@pytest.mark.slow
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_no_failure_of_a_file_call_costs_a_checkpoint(tmp_path, error):
    assert verdicts(tmp_path, "fail", error, 0, 1) == [""] * 60


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """What a run leaves that nobody interrupts."""
    place = tmp_path_factory.mktemp("straight")
    assert bertx("train", workplace(place), "-s", place / "run").status == 0
    return digests(place / "run")


@pytest.fixture
def place(tmp_path, monkeypatch, registries):
    (tmp_path / "sending.py").write_text(SIGNALLING)
    monkeypatch.chdir(tmp_path)
    return workplace(tmp_path)


def command(callback=None, model="bert_for_classification"):
    """A command that a scheduler would give again and again."""
    callbacks = [{"type": "metrics_log", "every": 1}, *([callback] if callback else [])]
    edits = ("-o", f"trainer.callbacks={json.dumps(callbacks)}", "-o", f"model.type={model}")
    return ("train", "tiny.json", "-s", "run", "--recover", "--include-package", "sending.py", *edits)


TERM = {"type": "sends", "signals": ["SIGTERM"]}


@pytest.mark.parametrize(
    ("given", "status", "step"),
    [
        (command(TERM), 75, 5),
        (command({"type": "sends", "signals": ["SIGINT"]}), 130, 5),
        (command({**TERM, "step": 10}), 75, 10),  # the end of an epoch
        (command({**TERM, "step": 40}), 75, 40),  # the last step
        (command({**TERM, "step": 6, "saving": True}), 75, 6),
        (command(model="sends_while_validated"), 75, 8),
    ],
)
def test_a_signal_saves_within_a_step_and_the_same_command_goes_on(place, straight, given, status, step):
    stopped = bertx(*given)
    assert (stopped.status, stopped.out) == (status, "")
    assert f"run: saved after step {step} of 40; bertx train --recover goes on from there" in stopped.err
    done = bertx(*given)
    assert done.status == 0, done.err
    assert f"checkpoints/step-{step:08d}: going on from here" in done.err
    assert digests(place.parent / "run") == straight


def in_a_process(given):
    """A run with as many threads as this process: another number sums in another order."""
    threads = str(torch.get_num_threads())
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": str(REPOSITORY)}
    run = [sys.executable, "-m", "bertx", *given]
    return subprocess.run(run, env=environment, capture_output=True, timeout=120, check=False)


def test_a_second_signal_ends_a_training_at_once_and_it_still_goes_on(place, straight):
    given = command({"type": "sends", "signals": ["SIGTERM", "SIGTERM"]})
    stopped = in_a_process(given)
    assert stopped.returncode == 143
    assert b"saved after" not in stopped.stderr
    assert bertx(*given).status == 0
    assert digests(place.parent / "run") == straight


def test_a_process_ends_with_the_status_that_asks_to_be_started_again(place):
    stopped = in_a_process(command(TERM))
    last = stopped.stderr.decode().splitlines()[-1]
    assert stopped.returncode == 75
    assert last == (
        "stopped by SIGTERM: run: saved after step 5 of 40; bertx train --recover goes on from there"
    )
