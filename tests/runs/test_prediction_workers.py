import os
import signal

import pytest

import bertx
from bertx.errors import DataError, ProcessError
from bertx.runs.prediction import workers
from bertx.runs.prediction.computation import Computed
from bertx.runs.prediction.predict import PredictionRequest, predict
from bertx.runs.prediction.records import Item
from bertx.runs.prediction.workers import Opening, Task, Worker, computed_by
from tests.commands import bertx as command
from tests.runs.test_prediction import TEXTS
from tests.tiny import write_lines


@pytest.fixture(scope="module")
def run(trained):
    return bertx.load(trained.run)


@pytest.fixture
def task(trained):
    return Task(Opening(trained.run), "auto", "skip", False, None)


@pytest.fixture
def lines(tmp_path):
    made = [{"id": number, "text": TEXTS[number % 120]} for number in range(200)]
    made[50] = "[]"
    return write_lines(tmp_path / "in.jsonl", *made)


@pytest.fixture
def instant_workers(monkeypatch):
    """Replaces the processes by objects that answer with the numbers of the records."""

    class Instant:
        open = 0

        def __init__(self, number, task, num_threads):
            Instant.open += 1
            self.window = None

        def send(self, window):
            assert self.window is None
            self.window = window

        def receive(self):
            window, self.window = self.window, None
            return Computed([str(item.number).encode() for item in window], [], [])

        def close(self):
            Instant.open -= 1

    monkeypatch.setattr(workers, "Worker", Instant)
    return Instant


def windows(number):
    return iter([[Item("in", place, b"{}")] for place in range(number)])


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("number", [0, 1, 2, 7])
def test_windows_come_back_in_order(instant_workers, count, number):
    found = [
        (window[0].number, computed.lines) for window, computed in computed_by(count, None, windows(number))
    ]
    assert found == [(place, [str(place).encode()]) for place in range(number)]
    assert instant_workers.open == 0


def test_what_is_read_before_an_error_is_computed(instant_workers):
    def broken():
        yield from windows(3)
        raise DataError("in.gz: is cut short")

    found = []
    with pytest.raises(DataError, match=r"in.gz: is cut short"):
        found.extend(window[0].number for window, _ in computed_by(2, None, broken()))
    assert (found, instant_workers.open) == ([0, 1, 2], 0)


def test_one_window_more_than_there_are_workers_is_read(instant_workers):
    source = windows(100)
    taken = computed_by(3, None, source)
    next(taken)
    assert next(source)[0].number == 4
    taken.close()
    assert instant_workers.open == 0


def test_two_workers_write_what_one_process_writes(run, trained, lines, tmp_path):
    request = PredictionRequest(lines, tmp_path / "one.jsonl", "quarantine")
    predict(run, request)
    options = ("--output-file", tmp_path / "two.jsonl", "--on-error", "quarantine", "--workers", 2)
    done = command("predict", trained.run, lines, *options)
    assert (done.status, "in.jsonl:51: not a JSON object" in done.err) == (0, True)
    for ending in ("", ".quarantine"):
        one, two = (tmp_path / f"{name}.jsonl{ending}" for name in ("one", "two"))
        assert two.read_bytes() == one.read_bytes()


def test_a_worker_tells_its_errors_and_the_rest_can_be_resumed(run, trained, lines, tmp_path):
    options = (lines, "--output-file", tmp_path / "out.jsonl", "--workers", 2)
    done = command("predict", trained.run, *options)
    assert (done.status, "in.jsonl:51: not a JSON object (found a list)" in done.err) == (4, True)
    assert "add --resume to go on from there" in done.err
    predict(run, PredictionRequest(lines, tmp_path / "out.jsonl", "skip", resume=True))
    predict(run, PredictionRequest(lines, tmp_path / "whole.jsonl", "skip"))
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_worker_that_is_killed_is_an_error(task):
    worker = Worker(1, task, 1)
    os.kill(worker._process.pid, signal.SIGKILL)
    with pytest.raises(ProcessError, match="worker 1 ended with signal 9, before its work was done"):
        worker.receive()
    with pytest.raises(ProcessError, match="worker 1 ended with signal 9"):
        worker.send([Item("in", 1, b"{}")])
    worker.close()


def test_a_worker_ends_when_nobody_listens_any_more(task):
    worker = Worker(1, task, 1)
    worker._pipe.close()
    worker._process.join(60)
    assert worker._process.exitcode == 0


def test_a_worker_whose_run_cannot_be_opened_says_so(task, tmp_path):
    worker = Worker(1, Task(Opening(tmp_path / "gone"), "auto", "skip", False, None), 1)
    worker.send([Item("in", 1, b"{}")])
    with pytest.raises(bertx.errors.CheckpointError, match="gone"):
        worker.receive()
    worker.close()
