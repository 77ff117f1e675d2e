"""What starts runs: the seam between the loop that knows what to do and whatever does it."""

from __future__ import annotations

from typing import Protocol

from bertx.ablation.running.job import Job


class Running(Protocol):
    """A run that was started."""

    def poll(self) -> int | None:
        """Returns the exit status, negative for a signal; None: it still runs."""

    def stop(self, number: int) -> None:
        """Sends it a signal."""


class Executor(Protocol):
    """Starts runs, so many at once."""

    def has_room(self) -> bool:
        """Tells whether another run can be started now."""

    def start(self, job: Job) -> Running:
        """Starts a run."""
