"""From the files of runs to the outcome of the study."""

from __future__ import annotations

from collections.abc import Sequence

from bertx.ablation.outcome import RunOutcome, RunStatus, StudyOutcome, VariantOutcome
from bertx.ablation.running.job import Job
from bertx.ablation.study.plan import PlannedRun, StudyPlan


def collect(plan: StudyPlan, jobs: Sequence[Job]) -> StudyOutcome:
    """Puts together what the runs of a plan have left, as far as they are done."""
    outcomes = [_outcome(run, job) for run, job in zip(plan.runs, jobs, strict=True)]
    variants = [
        VariantOutcome(
            variant.name,
            variant.changes,
            variant.name == plan.compare_to,
            variant.fraction,
            [outcome for outcome in outcomes if outcome.variant == variant.name],
        )
        for variant in plan.variants
    ]
    return StudyOutcome(
        plan.study.name,
        plan.study.file.design,
        plan.metrics,
        plan.primary,
        plan.seeds,
        variants,
        plan.evaluated_on,
    )


def _outcome(run: PlannedRun, job: Job) -> RunOutcome:
    name, record = run.variant.name, job.record()
    if record is None:
        error = job.error()
        status: RunStatus = "missing" if error is None else "failed"
        return RunOutcome(name, run.seed, run.fold, run.identity, status, job.folder, {}, error)
    return RunOutcome(
        name,
        run.seed,
        run.fold,
        run.identity,
        "finished",
        job.folder,
        record.metrics,
        None,
        record.seconds,
        record.peak_memory_bytes,
        record.num_parameters,
        record.num_trainable_parameters,
    )
