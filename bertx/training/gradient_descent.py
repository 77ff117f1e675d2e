"""The training loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import torch

from bertx.atomic import write_json
from bertx.config.registrable import Lazy, Runtime
from bertx.data.batch import Batch
from bertx.data.split import Split
from bertx.errors import ConfigError, DataError, TrainingError
from bertx.models.model import Model
from bertx.progress import Progress
from bertx.training.callbacks.metrics_log import MetricsLog
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext
from bertx.training.evaluation import Precision, evaluate
from bertx.training.learning_rate_schedulers import LearningRateScheduler
from bertx.training.metric_tracker import MetricTracker
from bertx.training.optimizers import Optimizer
from bertx.training.steps import StepMaker, Sums
from bertx.training.trainer import Metrics, Trainer
from bertx.training.weights import load_weights, save_weights

logger = logging.getLogger(__name__)


@Trainer.register("gradient_descent")
class GradientDescentTrainer(Trainer):
    """Trains by gradient descent, epoch by epoch, and keeps the weights of the best epoch.

    Args:
        model: What to train.
        train: What to train on.
        validation: What to choose the best epoch by; None: the last epoch is the best.
        folder: The run folder; None: nothing is written, and the model ends with its last weights.
        device: Where to train, such as `cpu` or `cuda:0`.
        optimizer: How to make a step.
        learning_rate_scheduler: How the learning rate changes; None: it does not.
        num_epochs: How many times to go through the data.
        validation_metric: `+name` (higher is better) or `-name` (lower is better) of a validation metric.
        patience: Stop after this many epochs without a better one; None: never.
        grad_norm: Scale all gradients of a step down to this norm together; None: never.
        num_gradient_accumulation_steps: Batches per optimizer step; the step is that of one batch that holds
            them all.
        precision: `bf16` computes matrix products in bfloat16; weights and sums stay in float32.
        callbacks: What else to do.

    Raises:
        ConfigError: A number is out of its range, or the validation metric is not one of the model's.
    """

    def __init__(
        self,
        model: Runtime[Model],
        train: Runtime[Split],
        *,
        optimizer: Lazy[Optimizer],
        learning_rate_scheduler: Lazy[LearningRateScheduler] | None = None,
        num_epochs: int = 20,
        validation_metric: str = "-loss",
        patience: int | None = None,
        grad_norm: float | None = None,
        num_gradient_accumulation_steps: int = 1,
        precision: Precision = "fp32",
        callbacks: list[TrainerCallback] | None = None,
        validation: Runtime[Split | None] = None,
        folder: Runtime[Path | None] = None,
        device: Runtime[torch.device] = torch.device("cpu"),  # noqa: B008  (immutable)
    ) -> None:
        _check_numbers(num_epochs, num_gradient_accumulation_steps, grad_norm)
        self.model, self.train_split, self.validation_split = model, train, validation
        self.folder, self.device, self.precision = folder, device, precision
        self.num_epochs, self.batches_per_step = num_epochs, num_gradient_accumulation_steps
        self.tracker = MetricTracker(validation_metric, patience)
        if validation is not None:
            self.tracker.require(model.get_metrics() | {"loss": math.nan})
        elif patience is not None:
            logger.warning("trainer.patience: has no effect without validation data")
        batches = [train.num_batches(epoch) for epoch in range(num_epochs)]
        self.steps_per_epoch = [math.ceil(count / self.batches_per_step) for count in batches]
        self.num_steps = sum(self.steps_per_epoch)
        self.optimizer = optimizer.build(named_parameters=list(model.named_parameters()))
        self.steps = StepMaker(
            model, train, self.optimizer, device=device, precision=precision, grad_norm=grad_norm
        )
        self.parameters = self.steps.parameters
        self.scheduler = self._built(learning_rate_scheduler)
        self.callbacks = _with_log(callbacks or [])
        self.context = TrainingContext(model, folder, self.num_steps)
        self.step = 0

    def _built(self, scheduler: Lazy[LearningRateScheduler] | None) -> LearningRateScheduler | None:
        if scheduler is None:
            return None
        return scheduler.build_with(optimizer=self.optimizer, num_steps=self.num_steps)

    def train(self) -> Metrics:
        """Trains to the end; see `Trainer`."""
        started = time.monotonic()
        metrics: Metrics = {}
        try:
            for callback in self.callbacks:
                callback.on_start(self.context)
            for epoch in range(self.num_epochs):
                training = self._train_epoch(epoch)
                validation = self._validate(epoch)
                if self.folder is not None and (not validation or self.tracker.best_epoch == epoch):
                    save_weights(self.model, self.folder / "best" / "model.safetensors")
                metrics = self._metrics(epoch, training, validation, time.monotonic() - started)
                self._report(epoch, metrics)
                if validation and self.tracker.out_of_patience:
                    logger.info(
                        "no better %s in %d epochs: stopping", self.tracker.name, self.tracker.patience
                    )
                    break
            self._take_best()
        finally:
            for callback in self.callbacks:
                callback.on_end(self.context)
        return metrics

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        """Makes every step of an epoch; returns the metrics, and the loss averaged over all targets."""
        self.model.train()
        self.model.get_metrics(reset=True)
        sums = Sums()
        batches = self.train_split.batches(epoch)
        total = self.steps_per_epoch[epoch]
        with Progress(f"train {epoch + 1} of {self.num_epochs}", total, unit="steps") as progress:
            while group := list(islice(batches, self.batches_per_step)):
                sums.add(self._step(epoch, group))
                progress.advance(note=f"loss {sums.mean_loss:.4f}")
        metrics = self.model.get_metrics(reset=True) | {"loss": sums.mean_loss}
        if self.model.regularizer is not None:
            metrics["reg_loss"] = sums.penalty / sums.num_steps
        return metrics

    def _step(self, epoch: int, group: Sequence[Batch]) -> Sums:
        if self.scheduler is not None:
            self.scheduler.set_rates(self.step)
        sums, norm = self.steps.make(self.step + 1, group)
        self.step += 1
        rate = float(self.optimizer.param_groups[0]["lr"])
        num_instances = sum(batch.size for batch in group)
        report = Step(self.step, epoch, sums.mean_loss, rate, norm, num_instances)
        for callback in self.callbacks:
            callback.on_step(self.context, report)
        return sums

    def _validate(self, epoch: int) -> dict[str, float]:
        """Evaluates on the validation data, if there are any, and tells the tracker."""
        split = self.validation_split
        if split is None:
            return {}
        found = evaluate(self.model, split, device=self.device, precision=self.precision)
        name, value = self.tracker.name, found.all.get(self.tracker.name, 0.0)
        if math.isnan(value) and not found.num_targets:
            raise DataError(
                f"{split.name}: no {name} can be computed, so trainer.validation_metric cannot choose an "
                "epoch; check that the data have labels that occur in training"
            )
        if math.isnan(value):
            logger.warning("epoch %d: the validation %s is nan, which is never the best", epoch + 1, name)
        self.tracker.add(epoch, found.all)
        return found.all

    def _take_best(self) -> None:
        """Gives the model the weights of its best epoch."""
        if self.validation_split is not None and self.tracker.best_epoch is None:
            raise TrainingError(
                f"{self.validation_split.name}: {self.tracker.name} was nan after every epoch, so none is "
                "the best. Lower trainer.optimizer.lr or choose another trainer.validation_metric"
            )
        if self.folder is not None:
            load_weights(self.model, self.folder / "best" / "model.safetensors")

    def _metrics(
        self, epoch: int, training: dict[str, float], validation: dict[str, float], seconds: float
    ) -> Metrics:
        return {
            "best_epoch": self.tracker.best_epoch if validation else epoch,
            "epoch": epoch,
            "training_duration": str(timedelta(seconds=round(seconds))),
            **{f"training_{name}": value for name, value in training.items()},
            **{f"validation_{name}": value for name, value in validation.items()},
            **{f"best_validation_{name}": value for name, value in self.tracker.best_metrics.items()},
        }

    def _report(self, epoch: int, metrics: Metrics) -> None:
        shown = {name: value for name, value in metrics.items() if not name.startswith("best_")}
        numbers = (f"{name} {value:.4f}" for name, value in shown.items() if isinstance(value, float))
        logger.info("epoch %d of %d: %s", epoch + 1, self.num_epochs, ", ".join(numbers))
        if self.folder is not None:
            write_json(self.folder / f"metrics_epoch_{epoch}.json", metrics)
        for callback in self.callbacks:
            callback.on_epoch(self.context, metrics)


def _check_numbers(num_epochs: int, accumulated: int, grad_norm: float | None) -> None:
    counts = {"num_epochs": num_epochs, "num_gradient_accumulation_steps": accumulated}
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"trainer.{name}: {count}; expected at least 1")
    if grad_norm is not None and grad_norm <= 0:
        raise ConfigError(f"trainer.grad_norm: {grad_norm}; expected a number above 0, or null for no limit")


def _with_log(callbacks: Sequence[TrainerCallback]) -> list[TrainerCallback]:
    """Adds the log of metrics, unless the config has one with settings of its own."""
    has_log = any(isinstance(callback, MetricsLog) for callback in callbacks)
    return [*callbacks, *([] if has_log else [MetricsLog()])]
