"""The process of one run: `python -m bertx.ablation.running.worker JOB`.

It claims the run, trains, and leaves a record, or a note of what went wrong. Whoever has started it, on this
machine or another, learns the rest from these files.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from bertx.ablation.running.claims import claimed
from bertx.ablation.running.job import RECORD, Job, Record, read_job
from bertx.atomic import write_json
from bertx.errors import BertxError, Preempted
from bertx.training.checkpoints import CHECKPOINTS

CORES = "BERTX_CORES"  # in the environment: the numbers of the cores that the process keeps to
# Exit statuses; others tell of a death that nobody foresaw.
DONE, FAILED, TAKEN = 0, 3, 11
STOPPED = (Preempted.exit_status, 130)

Make: TypeAlias = Callable[[Job], Record]


def work(job: Job, make: Make) -> int:
    """Makes a run, unless it is finished or somebody else is making it.

    Args:
        job: The run.
        make: Trains.

    Returns:
        The exit status.
    """
    with claimed(job.claim) as mine:
        if not mine:
            return TAKEN
        if job.record() is not None:
            return DONE
        try:
            record = make(job)
        except Preempted:
            return Preempted.exit_status
        except KeyboardInterrupt:
            return 130
        except Exception as error:
            print("\n".join(_told(error)), file=sys.stderr)
            job.fail(_told(error)[0 if isinstance(error, BertxError) else -1])
            return FAILED
        write_json(job.run_folder / RECORD, asdict(record))
        job.failure.unlink(missing_ok=True)
        shutil.rmtree(job.run_folder / CHECKPOINTS, ignore_errors=True)  # nobody goes on with a finished run
        return DONE


def _told(error: Exception) -> list[str]:
    """Words an error: in our own words where they are there, else with its traceback."""
    if isinstance(error, BertxError):
        return [*str(error).splitlines(), *getattr(error, "__notes__", [])]
    return "".join(traceback.format_exception(error)).strip().splitlines()


def keep_to_cores(environment: dict[str, str]) -> None:
    """Keeps this process to its cores, where the system can do that; before torch counts them."""
    if CORES in environment and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(number) for number in environment[CORES].split(",")])


def main() -> int:
    """Makes the run of a job."""
    keep_to_cores(dict(os.environ))
    from bertx.ablation.running.training import train_run
    from bertx.log import log_to_stderr

    log_to_stderr()
    return work(read_job(Path(sys.argv[1])), train_run)


if __name__ == "__main__":
    sys.exit(main())
