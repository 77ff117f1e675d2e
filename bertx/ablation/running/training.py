"""Trains one run of a study: an ordinary run folder, with predictions and a record."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from bertx.ablation.outcome import PREDICTIONS, Split
from bertx.ablation.running.job import Job, Record
from bertx.config.construct import filled
from bertx.runs.evaluate import write_predictions
from bertx.runs.preparation import Prepared, TrainingRequest
from bertx.runs.run import Run
from bertx.runs.train import Finished, train
from bertx.training.gradient_descent import GradientDescentTrainer
from bertx.training.trainer import Metrics


def train_run(job: Job) -> Record:
    """Trains, or goes on with what was interrupted; a run that failed begins anew.

    Raises:
        BertxError: Training went wrong.
        Preempted: SIGTERM came; the run can go on.
    """
    torch.set_num_threads(job.num_threads)
    request = TrainingRequest(
        job.config,
        include_packages=job.include_packages,
        device=job.device,
        relative_to=[Path(folder) for folder in job.search],
    )
    failed = job.error() is not None
    job.failure.unlink(missing_ok=True)
    finishing = _Finishing(job, time.monotonic())
    train(request, job.run_folder, force=True, recover=not failed, finish=finishing)
    return finishing.record


class _Finishing:
    """Writes predictions, and finds out what the record of the run says."""

    record: Record

    def __init__(self, job: Job, started: float) -> None:
        self._job, self._started = job, started

    def __call__(self, finished: Finished) -> None:
        prepared, trainer = finished.prepared, finished.trainer
        seconds = time.monotonic() - self._started
        if isinstance(trainer, GradientDescentTrainer):
            seconds = trainer.loop.position.seconds  # what an interrupted training had before included
        peak = peak_memory(prepared.device)
        split: Split = "test" if self._job.on_test else "validation"
        write_predictions(_as_run(finished), prepared.splits[split], finished.folder / PREDICTIONS)
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in prepared.model.parameters()]
        self.record = Record(
            self._job.identity,
            plain_metrics(finished.metrics, split),
            round(seconds, 3),
            peak,
            sum(size for size, _ in sizes),
            sum(size for size, is_trained in sizes if is_trained),
        )


def plain_metrics(metrics: Metrics, split: Split) -> dict[str, float]:
    """Takes the numbers of the best weights out of `metrics.json`, by plain names such as `accuracy`."""
    prefix = "test_" if split == "test" else "best_validation_"
    return {
        name.removeprefix(prefix): float(value)
        for name, value in metrics.items()
        if name.startswith(prefix) and isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _as_run(finished: Finished) -> Run:
    prepared: Prepared = finished.prepared
    return Run(
        filled(prepared.plan),
        {},
        prepared.experiment,
        prepared.vocabulary,
        prepared.model,
        prepared.device,
        finished.trainer.precision,
    )


def peak_memory(device: torch.device) -> int | None:
    """Returns the most bytes that were held: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows does not tell it so
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
