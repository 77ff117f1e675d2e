"""Writes the loss of steps and the metrics of epochs to `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import ClassVar

from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.training.callbacks.line_log import LineLog
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext


@TrainerCallback.register("metrics_log")
class MetricsLog(LineLog):
    """Appends one line for every logged step, every validation and every epoch; a part of every training.

    Args:
        every: Optimizer steps between two lines.

    Raises:
        ConfigError: `every` is not positive.
    """

    file_name: ClassVar[str] = "metrics.jsonl"

    def __init__(self, every: int = 10) -> None:
        super().__init__()
        if every < 1:
            raise ConfigError(f"metrics_log.every: {every}; expected at least 1 step")
        self.every = every

    def on_step(self, context: TrainingContext, step: Step) -> None:
        """Writes the line of a step."""
        if step.step % self.every == 0 or step.step == context.num_steps or step.skipped:
            line = asdict(step)
            if step.skipped is None:
                del line["skipped"]
            self.append(context, {"kind": "step", **line})

    def on_validation(self, context: TrainingContext, step: int, metrics: Mapping[str, float]) -> None:
        """Writes the line of a validation."""
        self.append(context, {"kind": "validation", "step": step, **metrics})

    def on_epoch(self, context: TrainingContext, metrics: Mapping[str, JSON]) -> None:
        """Writes the line of an epoch."""
        self.append(context, {"kind": "epoch", **metrics})
