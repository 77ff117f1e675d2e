import os
import signal
import subprocess
import sys
import threading

import pytest

from bertx.errors import Preempted
from bertx.training.signals import SIGNALS, Interruption, StopRequest, stopped
from bertx.world import World
from tests.training.tiny import Recorder, make_model, make_trainer


class Sender(Recorder):
    """Sends this process a signal after a step."""

    def __init__(self, step, number):
        super().__init__()
        self.step, self.number = step, number

    def on_step(self, context, step):
        super().on_step(context, step)
        if step.step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.fixture(autouse=True)
def handlers():
    """Takes SIGTERM with a handler of its own, and puts back what was there."""
    before = {number: signal.signal(number, lambda number, frame: None) for number in SIGNALS}
    yield {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_is_noticed_at_the_next_look():
    request = StopRequest(World())
    with request.listening():
        request.look()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interruption, match="15") as found:
            request.look()
    assert found.value.signal == signal.SIGTERM


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_training_after_its_step_with_a_checkpoint(train, folder, number):
    sender = Sender(2, number)
    trainer = make_trainer(make_model(), train, {"num_epochs": 2}, folder=folder, callbacks=[sender])
    with pytest.raises((Preempted, KeyboardInterrupt)) as found:
        trainer.train()
    assert sender.told == ["start", "step 1", "step 2", "end"]
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-00000002"]
    text = f"{found.value} {getattr(found.value, '__notes__', '')}"
    assert f"{folder}: saved after step 2 of 6; bertx train --recover goes on from there" in text


def test_sigterm_is_named_and_handlers_are_as_before(train, folder, handlers):
    trainer = make_trainer(make_model(), train, {}, folder=folder, callbacks=[Sender(1, signal.SIGTERM)])
    with pytest.raises(Preempted, match=r"^stopped by SIGTERM: .*run: saved after step 1 of 3; "):
        trainer.train()
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers


def test_a_signal_after_the_last_step_is_not_lost(train, folder):
    class Late(Recorder):
        def on_epoch(self, context, metrics):
            os.kill(os.getpid(), signal.SIGTERM)

    trainer = make_trainer(make_model(), train, {}, folder=folder, callbacks=[Late()])
    with pytest.raises(Preempted, match=r"saved after step 3 of 3"):
        trainer.train()


def test_handlers_are_as_before_when_training_has_ended(train, folder, handlers):
    make_trainer(make_model(), train, {}, folder=folder).train()
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers


def test_handlers_are_as_before_after_an_error(handlers):
    with pytest.raises(ValueError, match="x"), StopRequest(World()).listening():
        raise ValueError("x")
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers


def test_outside_the_main_thread_no_handlers_are_set(train, folder, handlers):
    seen = []

    class Looks(Recorder):
        def on_step(self, context, step):
            seen.append({number: signal.getsignal(number) for number in SIGNALS})

    trainer = make_trainer(make_model(), train, {}, folder=folder, callbacks=[Looks()])
    thread = threading.Thread(target=trainer.train)
    thread.start()
    thread.join()
    assert seen == [handlers] * 3


def test_without_a_folder_signals_are_left_to_others(train, handlers):
    sender = Sender(1, signal.SIGTERM)
    make_trainer(make_model(), train, {}, callbacks=[sender]).train()
    assert sender.told[-1] == "end"
    assert len(sender.steps) == 3


def test_a_signal_is_noted_though_nobody_reads_stderr(monkeypatch):
    def closed(descriptor, text):
        raise BrokenPipeError(32, "Broken pipe")

    request = StopRequest(World())
    monkeypatch.setattr(os, "write", closed)
    with request.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.signal == signal.SIGTERM


def test_sigint_is_told_as_python_tells_it():
    error = stopped(signal.SIGINT, "saved")
    assert isinstance(error, KeyboardInterrupt)
    assert error.__notes__ == ["saved"]


TWICE = """
import os, signal, time
from bertx.training.signals import StopRequest
from bertx.world import World
with StopRequest(World()).listening():
    os.kill(os.getpid(), signal.{first})
    os.kill(os.getpid(), signal.{second})
    time.sleep(60)
"""


def test_a_second_signal_ends_the_program_at_once():
    script = TWICE.format(first="SIGTERM", second="SIGINT")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    assert done.returncode == 130
    assert done.stderr.count(b"stopping after this step; once more stops at once") == 1
