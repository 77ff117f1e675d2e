"""Says in a line every so many steps how training goes."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from bertx.errors import ConfigError
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext

logger = logging.getLogger(__name__)


@TrainerCallback.register("console")
class Console(TrainerCallback):
    """Logs a readable line every so many steps and for every validation, on a terminal and off it.

        step 300 of 1,143, epoch 1: loss 0.4512, lr 1.5e-05, gradient norm 2.31, 212 instances/s, 0:02:10 left

    The loss is the mean over the instances since the line before, without those of skipped steps.

    Args:
        every: Optimizer steps between two lines.

    Raises:
        ConfigError: `every` is not positive.
    """

    reads_weights: ClassVar[bool] = False

    def __init__(self, every: int = 100) -> None:
        if every < 1:
            raise ConfigError(f"console.every: {every}; expected at least 1 step")
        self.every = every
        self._forget()

    def _forget(self) -> None:
        self._loss_sum, self._learned, self._seen, self._steps = 0.0, 0, 0, 0
        self._since = time.monotonic()

    def on_start(self, context: TrainingContext) -> None:
        """Starts the clock."""
        self._forget()

    def on_step(self, context: TrainingContext, step: Step) -> None:
        """Logs a line, if it is time for one."""
        self._steps += 1
        self._seen += step.num_instances
        if step.skipped is None:
            self._learned += step.num_instances
            self._loss_sum += step.loss * step.num_instances
        if step.step % self.every == 0 or step.step == context.num_steps:
            logger.info(self.line(context, step, time.monotonic() - self._since))
            self._forget()

    def line(self, context: TrainingContext, step: Step, seconds: float) -> str:
        """Describes the steps since the last line, which took that many seconds."""
        loss = self._loss_sum / self._learned if self._learned else math.nan
        left = timedelta(seconds=round((context.num_steps - step.step) * seconds / self._steps))
        return (
            f"step {step.step:,} of {context.num_steps:,}, epoch {step.epoch + 1}: loss {loss:.4f}, "
            f"lr {step.lr:.3g}, gradient norm {step.grad_norm:.3g}, "
            f"{self._seen / max(seconds, 1e-9):,.0f} instances/s, {left} left"
        )

    def on_validation(self, context: TrainingContext, step: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics of a validation; the time it took is not that of steps."""
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        logger.info("step %s: validation %s", f"{step:,}", numbers)
        self._forget()
