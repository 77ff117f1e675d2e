"""Progress of long work: a bar on a terminal, a log line every 30 seconds elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import ClassVar

from tqdm import tqdm

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Counts work done and shows it on stderr, so that stdout carries results only.

    Args:
        description: What is being done, in a word or two.
        total: The amount of work in `unit`s; None if it is not known.
        unit: The name of one piece of work.
    """

    lines_only: ClassVar[bool] = False  # set by --file-friendly-logging
    silent: ClassVar[bool] = False  # set where another process shows the same

    def __init__(self, description: str, total: int | None, *, unit: str = "it") -> None:
        self.description, self.total, self.unit = description, total, unit
        self.done = 0
        self._note = ""
        self._started = self._last_line = time.monotonic()
        self._bar: tqdm[None] | None = None

    @classmethod
    def shows_bars(cls) -> bool:
        """Whether progress is shown as a bar: on a terminal, unless lines were asked for."""
        return sys.stderr.isatty() and not cls.lines_only and not cls.silent

    def __enter__(self) -> Progress:
        if self.shows_bars():
            self._bar = tqdm(desc=self.description, total=self.total, unit=f" {self.unit}", leave=False)
        return self

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Reports `amount` more pieces done, with a short note such as the current loss."""
        self.done += amount
        self._note = note or self._note
        if self._bar is not None:
            self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(amount)
        elif not self.silent and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            logger.info(self.line())

    def line(self) -> str:
        """Says how far the work is: `train 1 of 3: 120/300 batches, 14.2/s, loss 0.4512`."""
        rate = self.done / max(time.monotonic() - self._started, 1e-9)
        of_total = f"/{self.total:,}" if self.total is not None else ""
        note = f", {self._note}" if self._note else ""
        return f"{self.description}: {self.done:,}{of_total} {self.unit}, {rate:,.1f}/s{note}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
