"""`bertx ablate --dry-run`: every run with its difference from the base, and what all of them take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

from bertx.ablation.running.job import Job
from bertx.ablation.running.measuring import Measurement
from bertx.ablation.study.plan import PlannedRun, StudyPlan


def describe_plan(
    plan: StudyPlan, jobs: Sequence[Job], measurement: Measurement | None, *, workers: int
) -> str:
    """Says in words what a study is going to do.

    Args:
        plan: The plan.
        jobs: The jobs of its runs, which know what is done already.
        measurement: What a few steps of the first run took; None: nobody knows.
        workers: How many runs are made at once.
    """
    lines = [_line(run, job, measurement) for run, job in zip(plan.runs, jobs, strict=True)]
    missing = [run for run, job in zip(plan.runs, jobs, strict=True) if job.record() is None]
    steps = sum(run.draft.num_steps or 0 for run in missing)
    lines.append(
        f"{len(plan.runs):,} runs of {len(plan.variants):,} variants, {len(missing):,} of them to be made: "
        f"{steps:,} steps"
    )
    if plan.study.file.search is not None:
        lines.append(
            f"{plan.study.file.search.trials:,} trials come on top, with as many runs as the base each"
        )
    if measurement is not None:
        lines += _totals(missing, measurement, workers)
    return "\n".join(lines)


def seconds_of(run: PlannedRun, measurement: Measurement) -> float:
    """Estimates how long a run takes, from the start of its process to its end."""
    steps, validations = run.draft.num_steps or 0, run.draft.num_validations or 0
    # The best weights are evaluated once more for predictions.
    evaluations = (validations + 1) * measurement.validation_seconds
    return measurement.start_seconds + steps * measurement.step_seconds + evaluations


def _line(run: PlannedRun, job: Job, measurement: Measurement | None) -> str:
    told = ", ".join(f"{key} = {json.dumps(value)}" for key, value in run.variant.changes.items())
    if run.variant.fraction is not None:
        told = f"{run.variant.fraction:.4g} of the training data"
    words = [told or "no change"]
    if run.draft.num_steps is not None:
        words.append(f"{run.draft.num_steps:,} steps")
    if job.record() is not None:
        words.append("finished")
    elif job.error() is not None:
        words.append("failed")
    elif measurement is not None:
        words.append(f"about {_time(seconds_of(run, measurement))}")
    return f"{run.title}: {'; '.join(words)}"


def _totals(missing: Sequence[PlannedRun], measurement: Measurement, workers: int) -> list[str]:
    seconds = sum(seconds_of(run, measurement) for run in missing) / workers
    lines = [
        f"time: about {_time(seconds)} with {workers} at once; measured: {measurement.step_seconds:.3g} s "
        f"a step, {measurement.validation_seconds:.3g} s a validation, {measurement.start_seconds:.3g} s to "
        "start",
        f"disk: about {_megabytes(len(missing) * measurement.weight_bytes)}, and "
        f"{_megabytes(measurement.checkpoint_bytes)} for each run at a time",
    ]
    if measurement.memory_bytes is not None:
        lines.append(f"memory: about {_megabytes(measurement.memory_bytes)} for each run at a time")
    return lines


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else str(timedelta(seconds=round(seconds)))


def _megabytes(number: int) -> str:
    return f"{number / 2**20:,.0f} MiB"
