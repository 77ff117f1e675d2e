"""The family of checkpointers: when a training is saved, and which of its checkpoints are kept."""

from __future__ import annotations

import logging
import math
import shutil
import time
from pathlib import Path

from bertx.config.registrable import Registrable, Runtime
from bertx.errors import CheckpointError, ConfigError
from bertx.training.checkpoints import CHECKPOINTS
from bertx.training.checkpoints.folder import Checkpoint, read_checkpoint, write_checkpoint

logger = logging.getLogger(__name__)

PREFIX = "step-"


class Checkpointer(Registrable):
    """Saves a training so that it can go on after an interruption, and deletes what is no longer needed.

    A training that is told to stop is saved in any case. The best weights are not among the checkpoints: they
    lie in `best/`, and no rule of this class touches them. The newest checkpoint is always kept; of the
    others those that one of the two `keep` rules wants.

    Args:
        save_completed_epochs: Whether to save after every epoch.
        save_every: Optimizer steps between two checkpoints; None: steps do not matter.
        save_every_num_seconds: Seconds between two checkpoints; None: time does not matter.
        keep_most_recent_by_count: Keep that many; None: all.
        keep_most_recent_by_age: Keep those of the last so many seconds; None: age does not matter.
        folder: Where to write them; None: nothing is written.

    Raises:
        ConfigError: A number is not positive.
    """

    default_implementation = "default"

    def __init__(
        self,
        *,
        save_completed_epochs: bool = True,
        save_every: int | None = None,
        save_every_num_seconds: float | None = None,
        keep_most_recent_by_count: int | None = 2,
        keep_most_recent_by_age: float | None = None,
        folder: Runtime[Path | None] = None,
    ) -> None:
        numbers = {
            "save_every": save_every,
            "save_every_num_seconds": save_every_num_seconds,
            "keep_most_recent_by_count": keep_most_recent_by_count,
            "keep_most_recent_by_age": keep_most_recent_by_age,
        }
        for name, number in numbers.items():
            if number is not None and number <= 0:
                raise ConfigError(f"trainer.checkpointer.{name}: {number}; expected more than 0, or null")
        self.save_completed_epochs = save_completed_epochs
        self.save_every, self.save_every_num_seconds = save_every, save_every_num_seconds
        self.count, self.age = keep_most_recent_by_count, keep_most_recent_by_age
        self.folder = None if folder is None else folder / CHECKPOINTS
        self._last_time = time.monotonic()

    @property
    def saves_regularly(self) -> bool:
        """Whether a training is saved also when nobody asks it to stop."""
        return self.save_completed_epochs or bool(self.save_every or self.save_every_num_seconds)

    def is_due(self, step: int, *, epoch_ended: bool) -> bool:
        """Returns whether to save after an optimizer step (from 1)."""
        if epoch_ended:
            return self.save_completed_epochs
        if self.save_every is not None and step % self.save_every == 0:
            return True
        seconds = time.monotonic() - self._last_time
        return self.save_every_num_seconds is not None and seconds >= self.save_every_num_seconds

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint, then deletes those that are not to be kept.

        Raises:
            CheckpointError: It cannot be written; no other one was touched.
        """
        if self.folder is None:
            return
        write_checkpoint(self.folder / f"{PREFIX}{step:08d}", checkpoint)
        self._last_time = time.monotonic()
        for path in self.found():
            if step_of(path) > step:  # broken, or training would have gone on from there
                shutil.rmtree(path, ignore_errors=True)
        self.delete_old(step)

    def delete_old(self, step: int) -> None:
        """Deletes those before a step that no rule keeps; a kill may have come before that was done."""
        found = [path for path in self.found() if step_of(path) <= step]
        kept = self._kept(found)
        for path in found:
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def _kept(self, found: list[Path]) -> list[Path]:
        if self.count is None and self.age is None:
            return found
        by_count = [] if self.count is None else found[-self.count :]
        oldest = math.inf if self.age is None else time.time() - self.age
        return [*by_count, *(path for path in found if path.stat().st_mtime >= oldest), found[-1]]

    def found(self) -> list[Path]:
        """Lists the checkpoints, the newest last."""
        if self.folder is None:
            return []
        found = [path for path in self.folder.glob(f"{PREFIX}*") if path.is_dir()]
        return sorted((path for path in found if path.name[len(PREFIX) :].isdecimal()), key=step_of)

    def newest(self) -> Checkpoint | None:
        """Reads the newest checkpoint that is whole; None if there is none.

        One that is broken is named in a warning and left where it is.

        Raises:
            CheckpointError: There are checkpoints, but all of them are broken.
        """
        found = self.found()
        for path in reversed(found):
            try:
                checkpoint = read_checkpoint(path)
            except CheckpointError as error:
                logger.warning("%s; the checkpoint before it is used", error)
                continue
            logger.info("%s: going on from here", path)
            return checkpoint
        if found:
            raise CheckpointError(
                f"{self.folder}: none of the {len(found)} checkpoints is whole; --force trains anew and "
                "moves this run aside"
            )
        return None


def step_of(path: Path) -> int:
    """Returns after how many steps a checkpoint was taken."""
    return int(path.name[len(PREFIX) :])


Checkpointer.register("default")(Checkpointer)
