"""Writes event files that TensorBoard shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, cast

from bertx.data.instance import JSON
from bertx.training.callbacks.tracker import Tracker
from bertx.training.callbacks.trainer_callback import TrainerCallback, TrainingContext


@TrainerCallback.register("tensorboard")
class TensorBoardTracker(Tracker):
    """Writes the numbers of a training to `tensorboard/` in the run folder.

    See them with `tensorboard --logdir RUN/tensorboard`, or of many runs with the folder above them.

    Args:
        every: Optimizer steps between two points of loss and learning rate.

    Raises:
        ConfigError: The package is not installed, or `every` is not positive.
    """

    package: ClassVar[str] = "tensorboard"

    def __init__(self, every: int = 10) -> None:
        super().__init__(every)
        # What the last step reported: a resumed training replaces everything from that step on.
        self._last_step, self._last = 0, dict[str, float]()

    def open(self, context: TrainingContext, folder: Path) -> None:
        """Begins a file; points that an interrupted training wrote after its checkpoint are hidden by it."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=context.first_step)
        if self._last_step == context.first_step:
            self.write(self._last_step, self._last)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Writes one point per number."""
        if step != self._last_step:
            self._last_step, self._last = step, {}
        self._last |= numbers
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self, *, failed: bool) -> None:
        """Writes all to the disk."""
        self._writer.close()

    def state_dict(self) -> dict[str, JSON]:
        """Returns the points of the last step, with all before them safe on the disk."""
        if self._is_open:
            self._writer.flush()
        numbers = {name: value for name, value in self._last.items() if math.isfinite(value)}
        return {"step": self._last_step, "numbers": cast(JSON, numbers)}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back the points of the last step."""
        self._last_step = cast(int, state["step"])
        self._last = dict(cast("Mapping[str, float]", state["numbers"]))
