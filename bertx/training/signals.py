"""Signals that ask a training to stop: it ends at the next step, with a checkpoint to go on from."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from bertx.errors import Preempted
from bertx.world import World

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption(Exception):
    """Leaves what is being done, because of a signal.

    Args:
        signal: Its number.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


class StopRequest:
    """Notes that somebody asked for a stop; whoever works looks at it between two pieces of work.

    Args:
        world: The processes that must stop together: a signal to one of them counts for all.

    Attributes:
        signal: What this process was asked for: 0 for nothing, else the number of the signal.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.signal = 0

    def look(self) -> None:
        """Leaves the work if a stop was asked for; all processes look at the same time.

        Raises:
            Interruption: It was.
        """
        counts = self.world.sum([self.signal == number for number in SIGNALS])
        for number, count in zip(SIGNALS, counts, strict=True):
            if count:
                raise Interruption(number)

    @contextmanager
    def listening(self, wanted: bool = True) -> Iterator[None]:
        """Takes SIGTERM and SIGINT as requests to stop; a second one ends the program at once.

        Outside the main thread, where Python allows no handlers, nothing is done.

        Args:
            wanted: Whether to do so; not where nothing can be saved.
        """
        with taken(SIGNALS if wanted else (), self._take):
            yield

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            os._exit(128 + number)
        self.signal = number
        with suppress(OSError):  # nobody may read it any more
            # Not through logging, whose locks the interrupted code may hold.
            os.write(2, b"\nstopping after this step; once more stops at once\n")


@contextmanager
def taken(numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Gives signals to a handler; not outside the main thread, where Python allows none.

    Args:
        numbers: Which signals.
        handler: Is called with the number of one, and where it came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def stopped(number: int, message: str) -> BaseException:
    """Returns what to raise after a signal: Python's own exception for SIGINT."""
    if number == signal.SIGINT:
        error = KeyboardInterrupt()
        error.add_note(message)
        return error
    return Preempted(f"stopped by {signal.Signals(number).name}: {message}")
