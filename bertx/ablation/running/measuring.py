"""Measures a few steps of a run, to estimate what a study takes.

It is a process of its own, `python -m bertx.ablation.running.measuring JOB`, which writes one line to stdout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import ClassVar

from bertx.ablation.running.job import Job, make_job, read_job, write_job
from bertx.ablation.running.local import environment_of
from bertx.ablation.running.shares import Share
from bertx.ablation.running.training import peak_memory
from bertx.ablation.running.worker import keep_to_cores
from bertx.ablation.study.plan import StudyPlan
from bertx.errors import ProcessError
from bertx.runs.dry_run import checkpoint_bytes
from bertx.runs.preparation import TrainingRequest, prepare
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext
from bertx.training.gradient_descent import GradientDescentTrainer

MODULE = "bertx.ablation.running.measuring"
STEPS = 12  # are made
NOT_COUNTED = 4  # of these, since the first ones find nothing in caches


@dataclass(frozen=True)
class Measurement:
    """What was measured of one run.

    Attributes:
        step_seconds: One step; the median of a few.
        validation_seconds: One validation.
        start_seconds: All that is done before the first step, from the start of the process.
        memory_bytes: The most that was held; None: the system does not tell.
        weight_bytes: What its run folder will hold.
        checkpoint_bytes: What it holds beside that until it is finished.
    """

    step_seconds: float
    validation_seconds: float
    start_seconds: float
    memory_bytes: int | None
    weight_bytes: int
    checkpoint_bytes: int


def measured(plan: StudyPlan, share: Share, *, device: str | None, num_threads: int) -> Measurement | None:
    """Makes a few steps of the first run in a process of its own; None: its trainer counts no steps.

    Raises:
        ProcessError: The process fails; its words are in the message.
    """
    first = plan.runs[0]
    if first.draft.num_steps is None:
        return None
    with TemporaryDirectory(prefix="bertx-") as folder:
        job = make_job(plan, first, Path(folder), device=device, num_threads=num_threads)
        write_job(job, first)
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", MODULE, str(job.file)],
            capture_output=True,
            text=True,
            env=environment_of(job, share),
            check=False,
        )
        seconds = time.monotonic() - started
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise ProcessError(f"{first.title}: its first steps fail: {said[-1]}")
    found = Measurement(**json.loads(done.stdout.splitlines()[-1]))
    return Measurement(**{**asdict(found), "start_seconds": seconds - found.start_seconds})


class _Watch(TrainerCallback):
    """Notes when steps and validations end."""

    reads_weights: ClassVar[bool] = False

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.validation_seconds = 0.0

    def on_start(self, context: TrainingContext) -> None:
        """Notes when the first step begins."""
        self.steps.append(time.monotonic())

    def on_step(self, context: TrainingContext, step: Step) -> None:
        """Notes when a step ends."""
        self.steps.append(time.monotonic())

    def on_validation(self, context: TrainingContext, step: int, metrics: Mapping[str, float]) -> None:
        """Notes how long a validation took, which comes right after a step."""
        self.validation_seconds = time.monotonic() - self.steps[-1]


def measure(job: Job) -> Measurement:
    """Makes a few steps and a validation; `start_seconds` is what these took together."""
    import torch

    torch.set_num_threads(job.num_threads)
    request = TrainingRequest(
        job.config,
        {"trainer.max_steps": min(STEPS, job.num_steps or STEPS), "trainer.validate_every": None},
        include_packages=job.include_packages,
        device=job.device,
        relative_to=[Path(folder) for folder in job.search],
    )
    prepared = prepare(request)
    trainer = prepared.trainer(None)
    if not isinstance(trainer, GradientDescentTrainer):
        raise TypeError(f"expected a trainer that counts steps, found {type(trainer).__name__}")
    watch, started = _Watch(), time.monotonic()
    trainer.loop.callbacks.append(watch)
    trainer.train()
    seconds = time.monotonic() - started
    durations = [after - before for before, after in zip(watch.steps, watch.steps[1:], strict=False)]
    return Measurement(
        median(durations[min(NOT_COUNTED, len(durations) - 1) :]),
        watch.validation_seconds,
        seconds,
        peak_memory(prepared.device),
        4 * sum(parameter.numel() for parameter in prepared.model.parameters()),
        checkpoint_bytes(prepared, trainer),
    )


if __name__ == "__main__":
    keep_to_cores(dict(os.environ))
    print(json.dumps(asdict(measure(read_job(Path(sys.argv[1]))))))
