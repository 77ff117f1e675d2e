"""A training by bertx as a user gets it: its own `train`, a shipped config, and overrides."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bertx.data.instance import JSON
from bertx.runs.preparation import TrainingRequest
from bertx.runs.train import train
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext
from tests.benchmarks.surroundings import REPOSITORY

CLOCK_FILE = "benchmark_clock.json"


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        accuracy: On the validation data after the last epoch.
        examples_per_second: Of the training steps alone: no set-up, validation or saving.
        seconds: From the call to the result, all included.
    """

    accuracy: float
    examples_per_second: float
    seconds: float


@TrainerCallback.register("benchmark_clock")
class BenchmarkClock(TrainerCallback):
    """Writes how many instances were trained on, and in how many seconds of training steps."""

    reads_weights = False

    def __init__(self) -> None:
        self.instances, self.seconds = 0, 0.0
        self._epoch_start = self._last_step = time.perf_counter()

    def on_start(self, context: TrainingContext) -> None:
        self._epoch_start = time.perf_counter()

    def on_step(self, context: TrainingContext, step: Step) -> None:
        self._last_step = time.perf_counter()
        self.instances += step.num_instances

    def on_epoch(self, context: TrainingContext, metrics: Mapping[str, JSON]) -> None:
        # Validation lies between the last step and now, and is not counted.
        self.seconds += self._last_step - self._epoch_start
        self._epoch_start = time.perf_counter()

    def on_end(self, context: TrainingContext) -> None:
        figures = {"instances": self.instances, "seconds": self.seconds}
        assert context.folder is not None
        (context.folder / CLOCK_FILE).write_text(json.dumps(figures), encoding="utf-8")


def train_with_bertx(
    config: str, folder: Path, *, ext_vars: Mapping[str, str], overrides: Mapping[str, object]
) -> Trained:
    """Trains by a config of `configs/` and writes the run folder."""
    request = TrainingRequest(
        REPOSITORY / "configs" / config,
        overrides={**overrides, "trainer.callbacks": [{"type": "benchmark_clock"}]},
        ext_vars=ext_vars,
    )
    started = time.perf_counter()
    metrics = train(request, folder)
    seconds = time.perf_counter() - started
    clock = json.loads((folder / CLOCK_FILE).read_text(encoding="utf-8"))
    return Trained(float(metrics["validation_accuracy"]), clock["instances"] / clock["seconds"], seconds)
