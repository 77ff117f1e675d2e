"""The training loop."""

from __future__ import annotations

import logging
import math
import time
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import cast

import torch

from bertx.atomic import write_json
from bertx.config.registrable import Lazy, Runtime
from bertx.data.instance import JSON
from bertx.data.loader import Batch
from bertx.data.split import Split
from bertx.errors import ConfigError, TrainingError
from bertx.models.model import Model
from bertx.progress import Progress
from bertx.training.callbacks.metrics_log import MetricsLog
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext
from bertx.training.evaluation import Precision, arithmetic, evaluate, num_targets
from bertx.training.learning_rate_schedulers import LearningRateScheduler
from bertx.training.metric_tracker import MetricTracker
from bertx.training.optimizers import Optimizer
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
        num_gradient_accumulation_steps: Batches per optimizer step.
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
        if num_epochs < 1 or num_gradient_accumulation_steps < 1:
            raise ConfigError("trainer: num_epochs and num_gradient_accumulation_steps must be at least 1")
        if grad_norm is not None and grad_norm <= 0:
            raise ConfigError(f"trainer.grad_norm: {grad_norm}; expected a number above 0, or null")
        self.model, self.train_split, self.validation_split = model, train, validation
        self.folder, self.device, self.precision = folder, device, precision
        self.num_epochs, self.grad_norm = num_epochs, grad_norm
        self.batches_per_step = num_gradient_accumulation_steps
        self.tracker = MetricTracker(validation_metric, patience)
        if validation is not None:
            self.tracker.require(model.get_metrics() | {"loss": math.nan})
        self.num_steps = sum(self._num_steps(epoch) for epoch in range(num_epochs))
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        named = list(model.named_parameters())
        self.optimizer = optimizer.build(named_parameters=named)
        self.scheduler: LearningRateScheduler | None = None
        if learning_rate_scheduler is not None:
            self.scheduler = learning_rate_scheduler.build_with(
                optimizer=self.optimizer, num_steps=self.num_steps
            )
        logs = [] if any(isinstance(callback, MetricsLog) for callback in callbacks or []) else [MetricsLog()]
        self.callbacks: list[TrainerCallback] = [*(callbacks or []), *logs]
        self.context = TrainingContext(model, folder, self.num_steps)
        self.step = 0

    def train(self) -> Metrics:
        """Trains to the end; see `Trainer`."""
        started = time.monotonic()
        metrics: dict[str, JSON] = {}
        try:
            for callback in self.callbacks:
                callback.on_start(self.context)
            for epoch in range(self.num_epochs):
                training = self._train_epoch(epoch)
                validation = self._validate()
                is_best = self.tracker.add(epoch, validation) if validation else True
                if is_best and self.folder is not None:
                    save_weights(self.model, self.folder / "best" / "model.safetensors")
                metrics = self._metrics(epoch, training, validation, time.monotonic() - started)
                self._report(epoch, metrics)
                if validation and self.tracker.out_of_patience:
                    logger.info(
                        "no better %s in %d epochs: stopping", self.tracker.name, self.tracker.patience
                    )
                    break
            if self.folder is not None and (self.folder / "best" / "model.safetensors").is_file():
                load_weights(self.model, self.folder / "best" / "model.safetensors")
        finally:
            for callback in self.callbacks:
                callback.on_end(self.context)
        return cast(Metrics, metrics)

    def _train_epoch(self, epoch: int) -> Metrics:
        """Makes every step of an epoch; returns the loss and the metrics, averaged over its instances."""
        self.model.train()
        self.model.get_metrics(reset=True)
        loss_sum, penalty_sum, num_seen = 0.0, 0.0, 0
        batches = self.train_split.batches(epoch)
        total = self._num_steps(epoch)
        with Progress(f"train {epoch + 1} of {self.num_epochs}", total, unit="steps") as progress:
            while group := list(islice(batches, self.batches_per_step)):
                loss, penalty, seen = self._step(epoch, group)
                loss_sum, penalty_sum, num_seen = (
                    loss_sum + loss * seen,
                    penalty_sum + penalty,
                    num_seen + seen,
                )
                progress.advance(note=f"loss {loss_sum / num_seen:.4f}")
        metrics = self.model.get_metrics(reset=True) | {"loss": loss_sum / num_seen}
        if self.model.regularizer is not None:
            metrics["reg_loss"] = penalty_sum / total
        return metrics

    def _num_steps(self, epoch: int) -> int:
        return math.ceil(self.train_split.num_batches(epoch) / self.batches_per_step)

    def _step(self, epoch: int, group: list[Batch]) -> tuple[float, float, int]:
        """Makes one optimizer step; returns loss per target, penalty and the number of targets."""
        if self.scheduler is not None:
            self.scheduler.set_rates(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        num_instances = sum(batch.size for batch in group)
        loss_sum, num_seen, penalty = 0.0, 0, 0.0
        for batch in group:
            batch = batch.to(self.device)
            with arithmetic(self.precision, self.device):
                output = self.model(**batch.inputs)
            loss = output["loss"] * (batch.size / num_instances)
            seen = num_targets(batch, output)
            value = float(output["loss"].detach())
            if not math.isfinite(value):
                raise self._not_finite("loss", value, batch)
            loss_sum, num_seen = loss_sum + value * seen, num_seen + seen
            loss.backward()
        if (term := self.model.regularization_penalty()) is not None:
            term.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward untyped
            penalty = float(term.detach())
        norm = self._clip(group[-1])
        self.optimizer.step()
        self.step += 1
        loss_mean = loss_sum / max(num_seen, 1)
        rate = float(self.optimizer.param_groups[0]["lr"])
        report = Step(self.step, epoch, loss_mean + penalty, rate, norm, num_instances)
        for callback in self.callbacks:
            callback.on_step(self.context, report)
        return loss_mean, penalty, num_seen

    def _clip(self, batch: Batch) -> float | None:
        if self.grad_norm is None:
            return None
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.grad_norm, foreach=True))
        if not math.isfinite(norm):
            raise self._not_finite("gradient norm", norm, batch)
        return norm

    def _not_finite(self, what: str, value: float, batch: Batch) -> TrainingError:
        names = [self.train_split.dataset.identifier(int(row)) for row in batch.rows[:20]]
        more = f" and {batch.size - 20} more" if batch.size > 20 else ""
        rate = self.optimizer.param_groups[0]["lr"]
        return TrainingError(
            f"step {self.step + 1}: the {what} is {value} (batch ids: {', '.join(names)}{more}); "
            f"lr was {rate:g}. Lower trainer.optimizer.lr or set trainer.grad_norm"
        )

    def _validate(self) -> Metrics:
        if self.validation_split is None:
            return {}
        return evaluate(self.model, self.validation_split, device=self.device, precision=self.precision).all

    def _metrics(self, epoch: int, training: Metrics, validation: Metrics, seconds: float) -> dict[str, JSON]:
        best = self.tracker.best_epoch if validation else epoch
        return {
            "best_epoch": best,
            "epoch": epoch,
            "training_duration": str(timedelta(seconds=round(seconds))),
            **{f"training_{name}": value for name, value in training.items()},
            **{f"validation_{name}": value for name, value in validation.items()},
            **{f"best_validation_{name}": value for name, value in self.tracker.best_metrics.items()},
        }

    def _report(self, epoch: int, metrics: dict[str, JSON]) -> None:
        shown = {name: value for name, value in metrics.items() if not name.startswith("best_")}
        numbers = (f"{name} {value:.4f}" for name, value in shown.items() if isinstance(value, float))
        logger.info("epoch %d of %d: %s", epoch + 1, self.num_epochs, ", ".join(numbers))
        if self.folder is not None:
            write_json(self.folder / f"metrics_epoch_{epoch}.json", metrics)
        for callback in self.callbacks:
            callback.on_epoch(self.context, metrics)
