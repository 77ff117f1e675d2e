"""The loop that makes the runs of a study: what is missing is started, what ends is noted.

It keeps nothing to itself: what is finished, failed or claimed is in files, so that it may be killed, and
started again or twice at the same time, and nothing is done twice.
"""

from __future__ import annotations

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from bertx.ablation.running.claims import is_claimed
from bertx.ablation.running.executor import Executor, Running
from bertx.ablation.running.job import Job
from bertx.ablation.running.progress import Counts, Table
from bertx.ablation.running.worker import DONE, FAILED, STOPPED, TAKEN
from bertx.errors import Preempted
from bertx.training.signals import stopped, taken

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_POLLS = 0.02
SECONDS_BETWEEN_LOOKS = 0.5  # at what another planner is doing, and how good running runs are
PRUNED = "pruned"  # how the reason begins for which a run ended early
STOPPING = tuple(
    signal.Signals[name] for name in ("SIGTERM", "SIGINT", "SIGHUP") if name in signal.Signals.__members__
)


@dataclass(frozen=True)
class RunOptions:
    """Which runs are made.

    Attributes:
        retry_failed: Whether those are made anew that failed before.
        fail_fast: Whether all others are stopped when one fails.
        limit: Start that many at most; None: all.
    """

    retry_failed: bool = False
    fail_fast: bool = False
    limit: int | None = None


def wanted(jobs: Sequence[Job], options: RunOptions, counts: Counts) -> list[Job]:
    """Chooses the runs to make, and counts those that are finished or have failed."""
    missing = []
    for job in jobs:
        if job.record() is not None:
            counts.finished += 1
        elif (error := job.error()) is not None and error.startswith(PRUNED):
            counts.pruned += 1
        elif error is not None and not options.retry_failed and not is_claimed(job.claim):
            counts.failed += 1
        else:
            missing.append(job)
    return missing[: options.limit]


class Runner:
    """Makes the runs that are missing.

    Args:
        jobs: All runs of the study.
        executor: Starts them.
        table: Shows how far they are.
        options: Which ones to make.
        ends_early: Says of a running run why it is to end before it is done; None: it is not.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        executor: Executor,
        table: Table,
        options: RunOptions = RunOptions(),
        ends_early: Callable[[Job], str | None] = lambda job: None,
    ) -> None:
        self._executor, self._table, self._options = executor, table, options
        self._ends_early, self._ended_early = ends_early, dict[Job, str]()
        self.counts = Counts(len(jobs))
        self._pending: deque[Job] = deque()
        self._running: dict[Job, Running] = {}
        self._elsewhere: list[Job] = []
        self._signal = 0
        self._looked = 0.0
        self._pending.extend(wanted(jobs, options, self.counts))

    def run(self) -> Counts:
        """Makes the runs; returns how many are in which state.

        Raises:
            Preempted: SIGTERM came; all runs can go on.
            KeyboardInterrupt: SIGINT came; all runs can go on.
        """
        with taken(STOPPING, self._take):
            while self._pending or self._running or self._elsewhere:
                self._start()
                self._look_after_own()
                self._look_around()
                self._table.show(list(self._running), self.counts)
                time.sleep(SECONDS_BETWEEN_POLLS)
        if self._signal:
            number = signal.SIGINT if self._signal == signal.SIGINT else signal.SIGTERM
            raise stopped(number, f"{self.counts}; the same command goes on")
        if self.counts.stopped and not self.counts.failed:
            raise Preempted(f"runs were stopped: {self.counts}; the same command goes on")
        return self.counts

    def _start(self) -> None:
        """Starts what there is room for."""
        while self._pending and self._executor.has_room():
            job = self._pending.popleft()
            if job.record() is not None:
                self.counts.finished += 1
            elif is_claimed(job.claim):
                self._elsewhere.append(job)
            else:
                self._running[job] = self._executor.start(job)
                if self._signal:  # it came at this moment
                    self._stop_all(signal.SIGTERM)

    def _look_after_own(self) -> None:
        for job, run in list(self._running.items()):
            status = run.poll()
            if status is None:
                continue
            del self._running[job]
            if job in self._ended_early and job.record() is None:
                job.fail(self._ended_early[job])
                self.counts.pruned += 1
            elif status == TAKEN:
                self._elsewhere.append(job)
            elif status == DONE and job.record() is not None:
                self._finished(job)
            elif status in STOPPED or (self._signal and status != FAILED):
                self.counts.stopped += 1
            else:
                if status != FAILED or job.error() is None:
                    job.fail(_death(status))
                self._failed(job)

    def _end_early(self, job: Job, run: Running) -> None:
        """Stops a run that is not worth going on."""
        if job not in self._ended_early and (reason := self._ends_early(job)) is not None:
            self._ended_early[job] = reason
            run.stop(signal.SIGTERM)

    def _look_around(self) -> None:
        """Looks for runs that are not worth going on, and for what another planner has made or left."""
        if time.monotonic() - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        for job, run in self._running.items():
            self._end_early(job, run)
        for job in list(self._elsewhere):
            if job.record() is None and is_claimed(job.claim):
                continue
            self._elsewhere.remove(job)
            if job.record() is not None:
                self._finished(job)
            elif job.error() is not None:
                self._failed(job)
            else:
                self._pending.append(job)

    def _finished(self, job: Job) -> None:
        self.counts.finished += 1
        record = job.record()
        told = "" if record is None else ", ".join(f"{n} {v:.4f}" for n, v in record.metrics.items())
        self._table.say(f"{job.title}: finished: {told} ({self.counts})")

    def _failed(self, job: Job) -> None:
        self.counts.failed += 1
        self._table.say(f"{job.title}: failed: {job.error()}\n  its log: {job.log}")
        if self._options.fail_fast:
            self._stop_all(signal.SIGTERM)

    def _stop_all(self, number: int) -> None:
        """Starts nothing more, and sends all running runs a signal."""
        self._pending.clear()
        self._elsewhere.clear()
        for run in self._running.values():
            run.stop(number)

    def _take(self, number: int, frame: FrameType | None) -> None:
        """Passes a signal on: every run saves a checkpoint; a second one ends them at once."""
        again, self._signal = bool(self._signal), self._signal or number
        self._stop_all(getattr(signal, "SIGKILL", signal.SIGTERM) if again else signal.SIGTERM)


def _death(status: int) -> str:
    """Words the end of a process that could not say anything itself."""
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = "; the machine may be short of memory: give fewer --workers" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{hint}"
    return f"its process ended with status {status}"
