"""The trainer that configs know: it puts together what the training loop needs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from bertx.config.registrable import Lazy, Runtime
from bertx.data.split import Split
from bertx.models.model import Model
from bertx.training.callbacks.metrics_log import MetricsLog
from bertx.training.callbacks.trainer_callback import TrainerCallback
from bertx.training.checkpoints.checkpointer import Checkpointer
from bertx.training.compilation import compiled
from bertx.training.limits import Limits
from bertx.training.loop import TrainingLoop
from bertx.training.metric_tracker import MetricTracker
from bertx.training.moving_averages import MovingAverage
from bertx.training.objectives.objective import Objective
from bertx.training.optimizers.optimizer import Optimizer
from bertx.training.precision import Precision, PrecisionChoice, chosen_precision
from bertx.training.processes.parallel import Strategy, parallelize
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler
from bertx.training.schedulers.momentum_schedulers import MomentumScheduler
from bertx.training.schedulers.training_length import training_length
from bertx.training.selection import Selection
from bertx.training.shortcuts import rows_to_train, shortcuts_taken
from bertx.training.steps import StepMaker
from bertx.training.trainer import Metrics, Trainer
from bertx.training.training_scope import GradualUnfreezing, TypeOptimization, freeze
from bertx.world import World

Part = TypeVar("Part")

logger = logging.getLogger(__name__)


@Trainer.register("gradient_descent")
class GradientDescentTrainer(Trainer):
    """Trains by gradient descent, step by step, and keeps the weights of the best validation.

    Args:
        model: What to train.
        train: What to train on.
        validation: What to choose the best weights by; None: the last ones are the best.
        folder: The run folder; None: nothing is written, and the model ends with its last weights.
        device: Where to train, such as `cpu` or `cuda:0`.
        world: The processes that train together.
        strategy: How they share the model.
        optimizer: How to make a step.
        learning_rate_scheduler: How the learning rate changes; None: it does not.
        momentum_scheduler: How momentum changes; None: it does not.
        moving_average: An average of the weights, which is validated and kept in their place; None: none.
        no_grad: Regular expressions; parameters in whose names one is found are not trained.
        type_optimization: How much of the encoder is trained, by ParlAI's choices; None: all of it.
        gradual_unfreezing: Train the encoder's layers one after the other, from the top; None: all at once.
        objective: How the gradients of a batch are made; None: from the model's loss.
        num_epochs: How many times to go through the data; None: until `max_steps`.
        max_steps: End after this many optimizer steps, also within an epoch; None: after `num_epochs`.
        max_seconds: End after so much training time, earlier parts of an interrupted training included, with
            a last validation; None: never. Schedules do not know of it.
        validate_every: Optimizer steps between two validations; below 1 a share of an epoch; None: after
            every epoch. There is one at the very end in any case.
        validation_metric: `+name` (higher is better) or `-name` (lower is better) of a validation metric.
        patience: Stop after this many validations without a better one; None: never.
        grad_norm: Scale all gradients of a step down to this norm together; None: never.
        grad_clipping: Cut each number of a gradient to at most this size, after `grad_norm`; None: never.
        num_gradient_accumulation_steps: Batches per optimizer step; the step is that of one batch that holds
            them all.
        max_skipped_steps: A step whose loss or gradient is not finite is skipped; after this many in a row
            training ends, and `bad_batch.jsonl` holds the instances of the last.
        precision: `bf16` and `fp16` compute matrix products in so many bits; weights and sums stay in
            float32. `auto` measures what is fastest here.
        compile: Whether torch compiles the encoder's layers, once for batches of all lengths; None: on a GPU,
            if there are enough steps for it to pay.
        checkpointer: When to save what is needed to go on after an interruption.
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
        momentum_scheduler: Lazy[MomentumScheduler] | None = None,
        moving_average: Lazy[MovingAverage] | None = None,
        no_grad: list[str] | None = None,
        type_optimization: TypeOptimization | None = None,
        gradual_unfreezing: GradualUnfreezing | None = None,
        objective: Objective | None = None,
        num_epochs: int | None = 20,
        max_steps: int | None = None,
        max_seconds: float | None = None,
        validate_every: int | float | None = None,
        validation_metric: str = "-loss",
        patience: int | None = None,
        grad_norm: float | None = None,
        grad_clipping: float | None = None,
        num_gradient_accumulation_steps: int = 1,
        max_skipped_steps: int = 3,
        precision: PrecisionChoice = "fp32",
        compile: bool | None = None,
        checkpointer: Lazy[Checkpointer] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        validation: Runtime[Split | None] = None,
        folder: Runtime[Path | None] = None,
        device: Runtime[torch.device] = torch.device("cpu"),  # noqa: B008  (immutable)
        world: Runtime[World] = World(),  # noqa: B008  (immutable)
        strategy: Runtime[Strategy] = "ddp",
    ) -> None:
        limits = Limits(num_gradient_accumulation_steps, validate_every, max_seconds, max_skipped_steps)
        self.length = training_length(train, num_epochs, max_steps, limits.batches_per_step)
        self.num_steps, self.num_epochs = self.length.num_steps, self.length.num_epochs
        if validation is None:
            _warn_of_no_effect(patience, validate_every, learning_rate_scheduler)
        tracker = MetricTracker(validation_metric, patience)
        freeze(model, no_grad, type_optimization)
        parallel = parallelize(model, strategy, world, device)
        named_parameters = list(model.named_parameters())
        self.optimizer = optimizer.build(named_parameters=named_parameters)
        offers = {
            "optimizer": self.optimizer,
            "named_parameters": named_parameters,
            "num_steps": self.num_steps,
            "length": self.length,
            "validation_metric": validation_metric,
        }
        self.loop = TrainingLoop(
            steps=StepMaker(
                parallel,
                train,
                self.optimizer,
                device=device,
                precision=world.broadcast(chosen_precision(precision, device, model.encoder_config)),
                objective=objective,
                grad_norm=grad_norm,
                grad_clipping=grad_clipping,
                world=world,
            ),
            length=self.length,
            limits=limits,
            selection=Selection(model, validation, tracker, _built(moving_average, offers), folder, world),
            scheduler=_built(learning_rate_scheduler, offers),
            momentum_scheduler=_built(momentum_scheduler, offers),
            unfreezing=gradual_unfreezing,
            checkpointer=(checkpointer or Lazy(Checkpointer)).build(folder=folder),
            callbacks=_with_log(callbacks or []),
            folder=folder,
        )
        self.compile, self.loop.rows = compile, rows_to_train(self.loop)

    @property
    def precision(self) -> Precision:
        """The arithmetic that it trains in."""
        return self.loop.steps.precision

    @property
    def model(self) -> Model:
        """What it trains."""
        return self.loop.model

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """What the optimizer changes."""
        return self.loop.steps.parameters

    def recover(self) -> bool:
        """Goes to where the newest checkpoint was taken; see `Trainer`."""
        return self.loop.recover()

    def train(self) -> Metrics:
        """Trains to the end; see `Trainer`."""
        with shortcuts_taken(self.loop), compiled(self.loop, self.compile):
            return self.loop.run()


def _built(part: Lazy[Part] | None, offers: Mapping[str, object]) -> Part | None:
    return None if part is None else part.build_with(**offers)


def _warn_of_no_effect(
    patience: int | None, validate_every: float | None, scheduler: Lazy[LearningRateScheduler] | None
) -> None:
    """Names the settings that wait for validations in vain."""
    settings = {
        "patience": patience is not None,
        "validate_every": validate_every is not None,
        "learning_rate_scheduler": scheduler is not None
        and getattr(scheduler.maker, "waits_for_validations", False),
    }
    for name, is_set in settings.items():
        if is_set:
            logger.warning("trainer.%s: has no effect without validation data", name)


def _with_log(callbacks: Sequence[TrainerCallback]) -> list[TrainerCallback]:
    """Adds the log of metrics, unless the config has one with settings of its own."""
    has_log = any(isinstance(callback, MetricsLog) for callback in callbacks)
    return [*callbacks, *([] if has_log else [MetricsLog()])]
