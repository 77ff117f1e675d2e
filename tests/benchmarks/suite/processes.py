"""Fresh processes for measurements: started alike, watched, and asked for their figures."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.surroundings import REPOSITORY

MB = 2**20
CHILD = "tests.benchmarks.suite.child"
SECONDS_BETWEEN_SAMPLES = 1.0  # each takes some milliseconds


class MeasurementError(Exception):
    """A measurement ended with an error; the message has the end of what it wrote."""


class NotInstalledError(Exception):
    """A measurement needs a package that its interpreter lacks; the message is the package's name."""


@dataclass(frozen=True)
class Processes:
    """Starts measurements.

    Attributes:
        folder: Where each gets a folder of its own.
        threads: How many every library is told to use.
    """

    folder: Path
    threads: int

    def measure(
        self,
        function: str,
        settings: Mapping[str, object],
        *,
        seed: int = 1,
        python: Path | None = None,
    ) -> dict[str, float]:
        """Calls a function in a fresh process; returns its figures and `peak_mb`.

        `peak_mb` is the peak of the largest process, or the most memory that all of them had together (looked
        at once a second; what they share counts for each), whichever is more.

        Raises:
            NotInstalledError: It needs a package that is not there.
            MeasurementError: It failed.
        """
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as name:
            own = Path(name) / "own"
            own.mkdir()
            offered = {"folder": str(own), "seed": seed, "started": time.time()}
            request = {"function": function, "settings": settings, "offered": offered}
            command = [str(python or sys.executable), "-W", "ignore", "-m", CHILD]
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                cwd=REPOSITORY,
                env=self.environment(Path(name)),
            )
            with _watched(process) as most:
                out, err = process.communicate(json.dumps(request))
        return _figures(process.returncode, out, err, most[0])

    def environment(self, folder: Path) -> dict[str, str]:
        """Returns the environment of a measurement: no network, caches of its own, so many threads."""
        return os.environ | {
            "OMP_NUM_THREADS": str(self.threads),
            "RAYON_NUM_THREADS": str(self.threads),
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(folder / "hugging_face"),
            "BERTX_CACHE": str(folder / "cache"),
            "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "torch"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }


def _figures(status: int, out: str, err: str, most: int) -> dict[str, float]:
    if status:
        raise MeasurementError(f"exit status {status}: {(err or out).strip()[-2000:]}")
    found = json.loads(out.splitlines()[-1])
    if "missing" in found:
        raise NotInstalledError(found["missing"])
    figures: dict[str, float] = found["figures"]
    return figures | {"peak_mb": max(figures["peak_mb"], most / MB)}


@contextmanager
def _watched(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Watches the memory of a process and all that it starts; ends it if the block fails."""
    most, ended = [0], threading.Event()

    def watch() -> None:
        if importlib.util.find_spec("psutil") is None:  # then the largest process alone tells
            return
        while not ended.wait(SECONDS_BETWEEN_SAMPLES):
            most[0] = max(most[0], _resident(process.pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()
        if process.poll() is None:
            process.kill()
            process.wait()


def _resident(pid: int) -> int:
    import psutil

    total = 0
    try:
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            total += member.memory_info().rss
    except psutil.NoSuchProcess:  # it ended meanwhile
        pass
    return total
