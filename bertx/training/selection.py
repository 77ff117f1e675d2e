"""Which weights are kept: those of the best validation."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bertx.data.split import Split
from bertx.errors import DataError, TrainingError
from bertx.models.model import Model, uncounted
from bertx.training.checkpoints.best_weights import BestWeights, Worth
from bertx.training.evaluation import evaluate
from bertx.training.metric_tracker import MetricTracker
from bertx.training.moving_averages import MovingAverage
from bertx.training.position import Position
from bertx.training.processes.shards import full_tensors, load_full
from bertx.training.steps import StepMaker
from bertx.training.weights import compare_tensors, read_tensors, tensors_of
from bertx.world import World

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Validates, and keeps the weights that were best.

    Attributes:
        model: The model in training.
        split: The validation data; None: the last weights are the best.
        tracker: Knows what the best was, and how long ago.
        moving_average: What is validated and kept in place of the weights in training; None: these.
        folder: The run folder; None: nothing is kept.
        world: The processes.
    """

    model: Model
    split: Split | None
    tracker: MetricTracker
    moving_average: MovingAverage | None
    folder: Path | None
    world: World

    def __post_init__(self) -> None:
        if self.split is not None:
            self.tracker.require(self.model.get_metrics() | {"loss": math.nan})

    @property
    def validates(self) -> bool:
        """Whether there is something to validate on."""
        return self.split is not None

    @property
    def best(self) -> BestWeights | None:
        """Where the best weights are kept."""
        if self.folder is None:
            return None
        return BestWeights(self.folder / "best" / "model.safetensors", self.tracker.signed_name)

    def validate(self, position: Position, steps: StepMaker, look: Callable[[], None]) -> dict[str, float]:
        """Evaluates on the validation data, and keeps the weights if they are the best so far.

        Args:
            position: Where training is.
            steps: Knows device and arithmetic.
            look: Called after every batch; what it raises ends the validation, and nothing has changed.

        Raises:
            DataError: The validation metric cannot be computed on these data.
        """
        assert self.split is not None
        with self._averaged(), uncounted(self.model):  # what was counted in training stays
            found = evaluate(
                self.model,
                self.split,
                device=steps.device,
                precision=steps.precision,
                observe=lambda batch, output: look(),
                world=self.world,
            )
        name, value = self.tracker.name, found.all.get(self.tracker.name, 0.0)
        if math.isnan(value) and not found.num_targets:
            raise DataError(
                f"{self.split.name}: no {name} can be computed, so trainer.validation_metric cannot choose "
                "an epoch; check that the data have labels that occur in training"
            )
        if math.isnan(value):
            epoch = position.epoch + 1
            logger.warning("epoch %d: the validation %s is nan, which is never the best", epoch, name)
        if self.tracker.add(position.epoch, found.all, position.step):
            self.keep(position.step, value)
        if self.tracker.out_of_patience:
            logger.info("no better %s in %d validations: stopping", name, self.tracker.patience)
        return found.all

    def keep(self, step: int, value: float) -> None:
        """Writes the weights as the best, unless there are better ones in the file already.

        Args:
            step: After how many optimizer steps.
            value: The validation metric; NaN if nothing was validated.
        """
        with self._averaged():
            weights = full_tensors(self.model)
            if self.best is not None and self.world.is_main:
                self.best.save(weights, Worth(step, value))

    def take(self) -> None:
        """Gives the model the best weights, if they were kept.

        Raises:
            TrainingError: No validation was good enough to be the best.
        """
        if self.split is not None and self.tracker.best_epoch is None:
            raise TrainingError(
                f"{self.split.name}: {self.tracker.name} was nan after every epoch, so none is "
                "the best. Lower trainer.optimizer.lr or choose another trainer.validation_metric"
            )
        self.world.barrier()  # the main process may still be writing them
        if self.best is not None:
            found = read_tensors(self.best.path)
            compare_tensors(self.best.path, found, tensors_of(self.model))
            load_full(self.model, found)

    def _averaged(self) -> AbstractContextManager[None]:
        """Returns the context in which the model has the weights that are validated and kept."""
        return nullcontext() if self.moving_average is None else self.moving_average.averaged()
