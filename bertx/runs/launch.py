"""Starts the processes that train one model together, by torch's own elastic launcher, and ends with them.

What is started is the command that was given, once for each process; nothing is pickled. Of the launcher the
part is used that starts processes and keeps their output, `torch.distributed.elastic.multiprocessing`. Its
agent is not: after a signal it does not tell with which status they ended, when one ends it gives the others
no time to do so by themselves, and its rendezvous pickles.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from types import FrameType

from bertx.errors import ProcessError, UsageError
from bertx.training.processes.distributed import Distributed
from bertx.world import LAUNCHER_PID

NODE_RANK = "NODE_RANK"  # in the environment: the number of this machine
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_FOLLOW = 20.0  # for the others to end by themselves when one has failed
SECONDS_TO_END = 10.0  # and then, when they have been told to
SHOWN_CHARACTERS = 4000


def must_launch(distributed: Distributed | None, environment: Mapping[str, str] = os.environ) -> bool:
    """Tells whether this process is to start others, rather than to be one of them or alone."""
    return distributed is not None and distributed.size > 1 and "RANK" not in environment


def launch(distributed: Distributed, command: Sequence[str]) -> int:
    """Runs a command in several processes at once and waits for them.

    The main process has this one's stdin, stdout and stderr. What the others write is shown if one of them
    fails and the main one does not say the same. SIGTERM and SIGINT are passed on, others as a SIGTERM.

    Args:
        distributed: How many processes, and where they meet.
        command: Arguments of Python, such as `["-m", "bertx", "train", "config.jsonnet", "-s", "runs/x"]`.

    Returns:
        The exit status: 0 if all are good, else that of the first that failed.

    Raises:
        UsageError: NODE_RANK is not the number of a machine.
    """
    node_rank = _node_rank(distributed)
    with tempfile.TemporaryDirectory(prefix="bertx-workers-") as folder:
        workers = Workers(distributed, command, Path(folder), node_rank=node_rank)
        with _passing_signals_on(workers.processes):
            status = workers.wait()
        workers.show_failure(status)
    return status


class Workers:
    """The running processes of this machine.

    Args:
        distributed: How many, and where they meet.
        command: What each runs, arguments of Python.
        folder: Where the output is kept that is not shown.
        node_rank: The number of this machine, from 0.
    """

    def __init__(
        self, distributed: Distributed, command: Sequence[str], folder: Path, *, node_rank: int = 0
    ) -> None:
        from torch.distributed import TCPStore  # type: ignore[attr-defined]  # it is, says torch's manual
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std, start_processes
        from torch.distributed.elastic.multiprocessing.api import SubprocessContext

        address, port = distributed.master_address, distributed.master_port or 0
        if node_rank == 0:
            # They meet at a store that is there before them, on a port that is free for certain.
            self.store = TCPStore(address, port, is_master=True, wait_for_workers=False)
            port = self.store.port
        ranks = range(distributed.num_processes)
        with _signals_as_they_were():
            context = start_processes(
                "bertx",
                sys.executable,
                args={rank: tuple(command) for rank in ranks},
                envs={rank: _environment(distributed, rank, node_rank, port) for rank in ranks},
                logs_specs=DefaultLogsSpecs(
                    str(folder), redirects={rank: Std.ALL for rank in ranks if rank or node_rank}
                ),
            )
        if not isinstance(context, SubprocessContext):
            raise TypeError(f"expected processes of a program, found {type(context).__name__}")
        handlers = [context.subprocess_handlers[rank] for rank in ranks]
        for file in [file for handler in handlers for file in (handler._stdout, handler._stderr)]:
            if file is not None:  # the processes have them; torch closes them only if it ends these itself
                file.close()
        self.output = context.stderrs
        self.processes: list[Popen[bytes]] = [handler.proc for handler in handlers]
        self.first_failed: int | None = None

    def wait(self) -> int:
        """Waits until all have ended; tells those to end that do not, long after one has failed."""
        deadline = float("inf")
        to_send = [signal.SIGTERM, signal.SIGKILL] if os.name == "posix" else [signal.SIGTERM]
        while any(process.poll() is None for process in self.processes):
            if self._failed() and deadline == float("inf"):
                deadline = time.monotonic() + SECONDS_TO_FOLLOW
            if time.monotonic() > deadline and to_send:
                _send(self.processes, to_send.pop(0))
                deadline = time.monotonic() + SECONDS_TO_END
            time.sleep(SECONDS_BETWEEN_LOOKS)
        failed = self._failed()
        return 0 if failed is None else exit_status(self.processes[failed])

    def _failed(self) -> int | None:
        """Finds the process that failed first; one that fails since another did is not the first."""
        ended = [rank for rank, process in enumerate(self.processes) if process.poll() not in (None, 0)]
        causes = [rank for rank in ended if exit_status(self.processes[rank]) != ProcessError.exit_status]
        if self.first_failed is None:
            self.first_failed = next(iter(causes), None)
        return next(iter(ended), None) if self.first_failed is None else self.first_failed

    def show_failure(self, status: int) -> None:
        """Shows on stderr what the process said that failed, if its output was kept and is not known yet."""
        failed = self._failed()
        if failed is None or not (path := self.output[failed]) or exit_status(self.processes[0]) == status:
            return
        text = Path(path).read_text(encoding="utf-8", errors="replace").strip()
        print(f"process {failed} ended with status {status}:\n{text[-SHOWN_CHARACTERS:]}", file=sys.stderr)


def exit_status(process: Popen[bytes]) -> int:
    """Returns the exit status of an ended process as a shell tells it: 128 and more for a signal."""
    code = process.returncode
    return code if code >= 0 else 128 - code


def _environment(distributed: Distributed, local_rank: int, node_rank: int, port: int) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // distributed.num_processes)
    values = {
        "RANK": node_rank * distributed.num_processes + local_rank,
        "LOCAL_RANK": local_rank,
        "WORLD_SIZE": distributed.size,
        "LOCAL_WORLD_SIZE": distributed.num_processes,
        "MASTER_ADDR": distributed.master_address,
        "MASTER_PORT": port,
        "TORCHELASTIC_USE_AGENT_STORE": True,
        "TORCHELASTIC_RESTART_COUNT": 0,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
        LAUNCHER_PID: os.getpid(),
    }
    return {name: str(value) for name, value in values.items()}


def _node_rank(distributed: Distributed) -> int:
    text = os.environ.get(NODE_RANK, "0" if distributed.num_nodes == 1 else "")
    if not text.isdecimal() or int(text) >= distributed.num_nodes:
        raise UsageError(
            f'environment: {NODE_RANK}="{text}"; expected the number of this machine, from 0 to '
            f"{distributed.num_nodes - 1}, as distributed.num_nodes is {distributed.num_nodes}"
        )
    return int(text)


def _send(processes: Sequence[Popen[bytes]], number: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)


@contextmanager
def _passing_signals_on(processes: Sequence[Popen[bytes]]) -> Iterator[None]:
    """Passes signals on to processes that a terminal does not reach: each has a session of its own."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        _send(processes, signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    with _signals_as_they_were():
        for number in _ending_signals():
            signal.signal(number, pass_on)
        yield


@contextmanager
def _signals_as_they_were() -> Iterator[None]:
    """Gives signals back the handlers that they had before the block."""
    before = {number: signal.getsignal(number) for number in _ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ending_signals() -> list[signal.Signals]:
    names = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
    return [signal.Signals[name] for name in names if name in signal.Signals.__members__]
