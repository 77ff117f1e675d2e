"""How far running runs are, as their files tell, in a table on a terminal and in lines elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertx.ablation.running.job import Job
from bertx.progress import SECONDS_BETWEEN_LINES, Progress

TAIL = 4_096  # bytes at the end of `metrics.jsonl` that hold its last lines
SECONDS_BETWEEN_LOOKS = 1.0


@dataclass
class Counts:
    """How many runs of a study are in which state."""

    total: int
    finished: int = 0
    failed: int = 0
    stopped: int = 0
    pruned: int = 0

    def __str__(self) -> str:
        left = self.total - self.finished - self.failed - self.pruned
        pruned = f"{self.pruned} pruned, " if self.pruned else ""
        return f"{self.finished} of {self.total} runs finished, {pruned}{self.failed} failed, {left} left"


class Table:
    """Shows runs on stderr: a line for each that runs, drawn again and again, or now and then a plain line.

    Args:
        primary: The metric to show, without its sign.
    """

    def __init__(self, primary: str) -> None:
        self._primary = primary
        self._is_live = Progress.shows_bars()
        self._drawn = 0
        self._looked = self._told = time.monotonic()

    def say(self, text: str) -> None:
        """Shows a line that stays."""
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def show(self, running: Sequence[Job], counts: Counts) -> None:
        """Shows how far everything is, if it is time to."""
        now = time.monotonic()
        if now - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        if self._is_live:
            self._clear()
            lines = [*(state_of(job, self._primary) for job in running), str(counts)]
            width = shutil.get_terminal_size().columns - 1
            print("\n".join(line[:width] for line in lines), file=sys.stderr, flush=True)
            self._drawn = len(lines)
        elif now - self._told >= SECONDS_BETWEEN_LINES:
            self._told = now
            for job in running:
                self.say(state_of(job, self._primary))

    def _clear(self) -> None:
        """Takes the table off the terminal."""
        if self._drawn:
            sys.stderr.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0


def state_of(job: Job, primary: str) -> str:
    """Says how far a run is: `dropout=0.1, seed 2: step 120/300, loss 0.4512, accuracy 0.8311`."""
    lines = last_lines(job)
    step, validation = lines.get("step"), lines.get("validation")
    if step is None:
        return f"{job.title}: starting"
    total = "" if job.num_steps is None else f"/{job.num_steps}"
    words = [f"step {step.get('step')}{total}"]
    for name, value in (("loss", step.get("loss")), (primary, (validation or {}).get(primary))):
        if isinstance(value, (int, float)):
            words.append(f"{name} {value:.4f}")
    return f"{job.title}: {', '.join(words)}"


def last_lines(job: Job) -> dict[str, Mapping[str, object]]:
    """Reads the last line of each kind from `metrics.jsonl`; nothing if there is none yet."""
    try:
        with (job.run_folder / "metrics.jsonl").open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL))
            lines = file.read().splitlines()
    except OSError:
        return {}
    found: dict[str, Mapping[str, object]] = {}
    for line in lines:
        try:
            read = json.loads(line)
            found[read["kind"]] = read
        except (ValueError, KeyError, TypeError):
            continue  # cut off at the front, or being written at this moment
    return found
