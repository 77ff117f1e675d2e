"""`bertx ablate`: from a study file to the outcome of all its runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bertx.ablation.outcome import RESULTS, STUDY, StudyOutcome, write_outcome
from bertx.ablation.running.claims import is_claimed
from bertx.ablation.running.collect import collect
from bertx.ablation.running.executor import Executor
from bertx.ablation.running.job import RUNS, Job, make_job, write_job
from bertx.ablation.running.progress import Counts, Table
from bertx.ablation.running.runner import Runner, RunOptions, wanted
from bertx.ablation.running.slurm import SlurmRequest, submit
from bertx.ablation.study.plan import StudyPlan
from bertx.errors import UsageError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """What each run may use.

    Attributes:
        num_threads: Threads of each run. With as many, runs give the same numbers, however many are made at
            once; with more, sums are cut in other places.
        device: Where to train; None: a GPU if there is one.
    """

    num_threads: int = 1
    device: str | None = None


def ablate(
    plan: StudyPlan,
    folder: Path,
    executor: Executor,
    *,
    options: RunOptions = RunOptions(),  # noqa: B008  (immutable)
    resources: Resources = Resources(),
) -> tuple[StudyOutcome, Counts]:
    """Makes the runs of a study that are missing, and writes what all of them have yielded.

    Args:
        plan: The plan of the study.
        folder: The study's folder: new, empty, or that of the same study.
        executor: Starts runs.
        options: Which runs are made.
        resources: What each of them may use.

    Raises:
        UsageError: The folder is that of another study, or of something else.
        Preempted: SIGTERM came; the same command goes on.
    """
    jobs = lay_out(plan, folder, resources)
    try:
        counts = Runner(jobs, executor, Table(plan.primary[1:]), options).run()
    finally:
        outcome = collect(plan, jobs)
        write_outcome(folder, outcome)
    return outcome, counts


def ablate_with_slurm(
    plan: StudyPlan, folder: Path, request: SlurmRequest, *, options: RunOptions, resources: Resources
) -> Counts:
    """Submits the runs of a study that are missing to Slurm, and collects those that are there.

    Raises:
        UsageError: The folder is that of another study, or of something else; there is no Slurm here.
        ProcessError: Slurm refuses.
    """
    jobs = lay_out(plan, folder, resources)
    counts = Counts(len(jobs))
    missing = [job for job in wanted(jobs, options, counts) if not is_claimed(job.claim)]
    if missing:
        logger.info("%d runs: %s", len(missing), submit(missing, folder, request))
    return counts


def lay_out(plan: StudyPlan, folder: Path, resources: Resources) -> list[Job]:
    """Writes what the processes of all runs read, and what is known of the study so far.

    Raises:
        UsageError: The folder is that of another study, or of something else.
    """
    require_own(folder, plan)
    jobs = [
        make_job(plan, run, folder, device=resources.device, num_threads=resources.num_threads)
        for run in plan.runs
    ]
    write_outcome(folder, collect(plan, jobs))
    for job, run in zip(jobs, plan.runs, strict=True):
        if job.record() is None:
            write_job(job, run)
    _mention_others(folder, jobs)
    return jobs


def require_own(folder: Path, plan: StudyPlan) -> None:
    """Checks that a folder is free for a study, or is its own.

    Raises:
        UsageError: It is that of another study, or holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder with -s")
    # Another planner may be writing its first file, under a name that begins with a dot.
    if not folder.exists() or all(path.name.startswith(".") for path in folder.iterdir()):
        return
    try:
        found = json.loads((folder / STUDY).read_text(encoding="utf-8"))["name"]
    except FileNotFoundError:
        raise UsageError(
            f"{folder}: is not empty and not the folder of a study (it has no {STUDY}); choose another "
            "with -s"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder / STUDY}: cannot be read ({error}); choose another folder with -s"
        ) from None
    if found != plan.study.name:
        raise UsageError(
            f'{folder}: is the folder of the study "{found}", not of "{plan.study.name}"; '
            "choose another with -s"
        )


def _mention_others(folder: Path, jobs: Sequence[Job]) -> None:
    """Says that there are runs that the study, which was changed since, no longer has."""
    own = {Path(job.folder).name for job in jobs}
    runs = folder / RUNS
    others = [path.name for path in runs.iterdir() if path.name not in own] if runs.is_dir() else []
    if others:
        logger.info(
            "%s: %d runs there are not of the study as it is now, such as %s; they are kept, but not in %s",
            runs,
            len(others),
            sorted(others)[0],
            RESULTS,
        )
