"""Writes the loss of steps and the metrics of epochs to `metrics.jsonl`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict

import orjson

from bertx.data.instance import JSON
from bertx.errors import ConfigError, DataError
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext


@TrainerCallback.register("metrics_log")
class MetricsLog(TrainerCallback):
    """Appends one line for every logged step and every epoch; a part of every training.

    A number that is not finite is written as null, since JSON has no word for it.

    Args:
        every: Optimizer steps between two lines.

    Raises:
        ConfigError: `every` is not positive.
    """

    def __init__(self, every: int = 10) -> None:
        if every < 1:
            raise ConfigError(f"metrics_log.every: {every}; expected at least 1 step")
        self.every = every

    def on_step(self, context: TrainingContext, step: Step) -> None:
        """Writes the line of a step."""
        if step.step % self.every == 0 or step.step == context.num_steps:
            self._append(context, {"kind": "step", **asdict(step)})

    def on_epoch(self, context: TrainingContext, metrics: Mapping[str, JSON]) -> None:
        """Writes the line of an epoch."""
        self._append(context, {"kind": "epoch", **metrics})

    def _append(self, context: TrainingContext, line: Mapping[str, JSON]) -> None:
        if context.folder is None:
            return
        path = context.folder / "metrics.jsonl"
        try:
            with path.open("ab") as file:
                file.write(orjson.dumps({"time": round(time.time(), 3), **line}) + b"\n")
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None
