"""A process of a run that only pretends: `python -m tests.ablation.pretended_worker JOB`.

It notes that it was there. Runs named in CRASHING end badly, those in DYING die.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from bertx.ablation.running.job import Job, Record, read_job
from bertx.ablation.running.worker import work
from bertx.errors import DataError


def pretend_slowly(job: Job) -> Record:
    with (Path(job.study) / "made.txt").open("a", encoding="utf-8") as file:
        file.write(f"{job.title}\n")
    if job.title in os.environ.get("DYING", "").split(";"):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.title in os.environ.get("CRASHING", "").split(";"):
        raise DataError("no luck")
    time.sleep(0.05)
    job.run_folder.mkdir(parents=True)
    return Record(job.identity, {"accuracy": 0.5, "loss": 1.0}, 0.5, 1000, 10, 5)


if __name__ == "__main__":
    sys.exit(work(read_job(Path(sys.argv[1])), pretend_slowly))
