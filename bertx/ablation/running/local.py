"""Runs on this machine: a process for each, with its share of cores and GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from bertx.ablation.running.job import Job
from bertx.ablation.running.shares import Share
from bertx.ablation.running.worker import CORES
from bertx.atomic import not_writable

WORKER = (sys.executable, "-m", "bertx.ablation.running.worker")


class LocalExecutor:
    """Starts a process for each run.

    Args:
        shares: What each worker has of the machine; there are as many runs at once.
        command: What is started, followed by the file of the job; None: what trains.
    """

    def __init__(self, shares: Sequence[Share], command: Sequence[str] | None = None) -> None:
        self._free, self._command = list(shares), list(command or WORKER)
        self._busy: list[tuple[LocalRun, Share]] = []

    def has_room(self) -> bool:
        """Tells whether a worker is free."""
        for run, share in list(self._busy):
            if run.poll() is not None:
                self._busy.remove((run, share))
                self._free.append(share)
        return bool(self._free)

    def start(self, job: Job) -> LocalRun:
        """Starts the process of a run; what it says goes to its log.

        Raises:
            DataError: The log cannot be written.
        """
        share = self._free.pop(0)
        try:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            with job.log.open("ab") as log:
                process = subprocess.Popen(
                    [*self._command, str(job.file)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment_of(job, share),
                    # A terminal's Ctrl-C reaches the planner alone, which tells each run once.
                    start_new_session=os.name == "posix",
                )
        except OSError as error:
            self._free.insert(0, share)
            raise not_writable(job.log, error) from None
        run = LocalRun(process)
        self._busy.append((run, share))
        return run


class LocalRun:
    """The process of a run."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        """Returns the exit status, negative for a signal; None: it still runs."""
        return self._process.poll()

    def stop(self, number: int) -> None:
        """Sends it a signal."""
        if self._process.poll() is None:
            self._process.send_signal(number)


def environment_of(job: Job, share: Share | None = None) -> dict[str, str]:
    """Returns the environment of a run: this one, with its share of the machine; None: all that is there."""
    threads = str(job.num_threads)
    made = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    if share is not None:
        made[CORES] = ",".join(map(str, share.cores))
        if share.gpu is not None:
            made["CUDA_VISIBLE_DEVICES"] = share.gpu
    return made
