"""The time that a command takes, from start to end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from tests.benchmarks.surroundings import REPOSITORY

HEAVY = {"torch", "numpy", "pydantic"}


def time_python(arguments: Sequence[str], times: int) -> dict[str, float]:
    """Runs this Python with arguments, some times; returns the median of the seconds."""
    seconds = []
    for _ in range(times):
        clock = time.perf_counter()
        _run([sys.executable, *arguments])
        seconds.append(time.perf_counter() - clock)
    return {"seconds": median(seconds)}


def time_help(times: int) -> dict[str, float]:
    """Does so for `bertx --help`, and counts what it imports of torch, numpy and pydantic."""
    command = ["-m", "bertx", "--help"]
    told = _run([sys.executable, "-X", "importtime", *command])
    lines = [line for line in told.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    return time_python(command, times) | {"heavy_imports": float(len(imported & HEAVY))}


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr[-2000:]}")
    return done.stderr
