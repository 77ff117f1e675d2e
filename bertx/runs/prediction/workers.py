"""Several processes that predict, each with a share of the processor, for one that reads and writes.

On a machine with many cores one process does not fill them: small products leave most of them waiting. Every
process opens the run itself, whose weights are mapped from the same file. One window at a time goes to each,
in turn, and comes back as lines, so that order is kept and memory bounded. What goes through the pipes is
plain data of this package, never a file of a user.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from bertx import errors
from bertx.config.overrides import Overrides
from bertx.errors import BertxError, ProcessError
from bertx.huge_pages import keep_memory
from bertx.runs.prediction.computation import Computation, Computed, OnError
from bertx.runs.prediction.precision import PredictionPrecision, in_precision
from bertx.runs.prediction.records import Item
from bertx.runs.run import Run, load

SECONDS_TO_END = 10.0

Window = Sequence[Item]


@dataclass(frozen=True)
class Opening:
    """How a run is opened.

    Attributes:
        path: The run folder or archive.
        device: Where to compute; None: a GPU if there is one.
        overrides: Edits of the run's config.
        include_packages: Modules with components of the user's own.
    """

    path: Path
    device: str | None = None
    overrides: Overrides = ()
    include_packages: Sequence[str] = ()

    def open(self) -> Run:
        """Opens it.

        Raises:
            BertxError: It cannot be opened, see `bertx.load`.
        """
        return load(
            self.path,
            device=self.device,
            overrides=self.overrides,
            include_packages=self.include_packages,
        )


@dataclass(frozen=True)
class Task:
    """What every process does.

    Attributes:
        opening: How it opens the run.
        precision: The arithmetic to compute in.
        on_error: What a bad record does.
        keep_fields: Whether a line repeats all fields of its input.
        batch_size: Records per batch; None: as many as fit a budget of tokens.
    """

    opening: Opening
    precision: PredictionPrecision
    on_error: OnError
    keep_fields: bool
    batch_size: int | None

    def computation(self) -> Computation:
        """Opens the run."""
        run = in_precision(self.opening.open(), self.precision)
        return Computation(run, self.on_error, self.keep_fields, self.batch_size)


class Worker:
    """One process, which computes a window at a time.

    Args:
        number: Its number, from 1, for messages.
        task: What it does.
        num_threads: How many threads it computes with.
    """

    def __init__(self, number: int, task: Task, num_threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.number = number
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, task, num_threads), daemon=True)
        self._process.start()
        theirs.close()  # only the process has it now, and when that ends there is nothing more to receive

    def send(self, window: Window) -> None:
        """Sends a window, when the one before has come back.

        Raises:
            ProcessError: The process has ended.
        """
        try:
            self._pipe.send(window)
        except OSError:
            raise self._ended() from None

    def receive(self) -> Computed:
        """Waits for what came out of the window.

        Raises:
            BertxError: What the process says; a `ProcessError` if it has ended.
        """
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        if isinstance(answer, Computed):
            return answer
        kind, message = answer
        raise getattr(errors, kind)(message)

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._pipe.close()
        self._process.terminate()
        self._process.join(SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ended(self) -> ProcessError:
        self._process.join(SECONDS_TO_END)
        code = self._process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"status {code}"
        return ProcessError(
            f"worker {self.number} ended with {how}, before its work was done; if the machine is short of "
            "memory, give fewer --workers"
        )


def computed_by(workers: int, task: Task, windows: Iterator[list[Item]]) -> Iterator[tuple[Window, Computed]]:
    """Computes windows in several processes; yields each with what came out, in order.

    Raises:
        BertxError: What reading the windows raises, after all before are done; what a process says.
    """
    num_threads = max(1, torch.get_num_threads() // workers)
    failure: BertxError | None = None
    with ExitStack() as stack:
        team = [
            stack.enter_context(closing(Worker(number, task, num_threads)))
            for number in range(1, workers + 1)
        ]
        idle = deque(team)
        busy: deque[tuple[Worker, Window]] = deque()
        while True:
            try:
                window = next(windows, None)
            except BertxError as error:
                window, failure = None, error
            if window is None:
                break
            if not idle:
                worker, before = busy.popleft()
                yield before, worker.receive()
                idle.append(worker)
            worker = idle.popleft()
            worker.send(window)
            busy.append((worker, window))
        for worker, before in busy:
            yield before, worker.receive()
    if failure is not None:
        raise failure


def _work(pipe: Connection, task: Task, num_threads: int) -> None:
    """Is what a process does, until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who reads and writes decides what an interruption means
    logging.disable()  # it says the same
    torch.set_num_threads(num_threads)
    keep_memory()
    computation: Computation | None = None
    while True:
        try:
            window: list[Item] = pipe.recv()
        except (EOFError, OSError):
            return
        answer: Computed | tuple[str, str]
        try:
            computation = computation or task.computation()
            answer = computation.computed(computation.encoded(window))
        except BertxError as error:
            answer = type(error).__name__, str(error)
        try:
            pipe.send(answer)
        except OSError:
            return
