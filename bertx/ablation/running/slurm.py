"""Runs on a Slurm cluster: an array job, a task for each run, written and submitted.

The planner does not wait for them. The command that submitted them collects their results when it is given
again, or makes what is missing; a task whose run is finished or claimed by then ends at once.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bertx.ablation.running.job import Job
from bertx.ablation.running.local import WORKER
from bertx.ablation.running.worker import TAKEN
from bertx.atomic import write_text
from bertx.errors import ProcessError, UsageError

logger = logging.getLogger(__name__)

FOLDER = "slurm"
SECONDS_TO_SAVE = 120  # between the signal that time is up and the end, for a checkpoint


@dataclass(frozen=True)
class SlurmRequest:
    """What each run asks Slurm for.

    Attributes:
        at_once: How many runs may run at the same time.
        num_cpus: Cores for each.
        options: Further options of `sbatch`, such as `--partition=long`.
    """

    at_once: int
    num_cpus: int = 1
    options: Sequence[str] = ()


def submit(jobs: Sequence[Job], folder: Path, request: SlurmRequest) -> str:
    """Writes the script of an array job, and submits it.

    Args:
        jobs: The runs to make.
        folder: The folder of the study.
        request: What they ask for.

    Returns:
        What `sbatch` says.

    Raises:
        UsageError: There is no `sbatch`.
        ProcessError: It refuses the script.
    """
    place = folder.absolute() / FOLDER
    write_text(place / "jobs.txt", "".join(f"{job.file}\n" for job in jobs))
    script = place / "array.sh"
    write_text(script, array_script(len(jobs), place, request))
    try:
        done = subprocess.run(["sbatch", str(script)], capture_output=True, text=True, check=False)
    except OSError:
        raise UsageError(
            f"--executor slurm: sbatch is not found; on a machine that has it, submit {script}"
        ) from None
    if done.returncode:
        raise ProcessError(f"--executor slurm: sbatch refuses {script}: {done.stderr.strip()}")
    return done.stdout.strip()


def array_script(count: int, place: Path, request: SlurmRequest) -> str:
    """Writes the script of an array job.

    Args:
        count: The number of runs.
        place: Where `jobs.txt` names them, and where their output goes.
        request: What they ask for.
    """
    options = [
        f"--job-name=bertx-{place.parent.name}",
        f"--array=0-{count - 1}%{request.at_once}",
        f"--cpus-per-task={request.num_cpus}",
        f"--output={place}/%A_%a.out",
        f"--signal=B:TERM@{SECONDS_TO_SAVE}",
        *request.options,
    ]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in options),
            f"export OMP_NUM_THREADS={request.num_cpus} MKL_NUM_THREADS={request.num_cpus}",
            f"cd {shlex.quote(str(Path.cwd()))}",
            f'job=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {shlex.quote(str(place / "jobs.txt"))})',
            # In the background, so that the signal reaches this shell, which passes it on.
            f'{shlex.join(WORKER)} "$job" &',
            "run=$!",
            "trap 'kill -TERM $run' TERM",
            "wait $run; status=$?",
            "while kill -0 $run 2>/dev/null; do wait $run; status=$?; done",
            f"# {TAKEN}: another task makes this run.",
            f"[ $status -eq {TAKEN} ] && exit 0",
            "exit $status",
            "",
        ]
    )
