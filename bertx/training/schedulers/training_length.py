"""How long a training is, in epochs and optimizer steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, count

from bertx.data.split import Split
from bertx.errors import ConfigError


@dataclass(frozen=True)
class TrainingLength:
    """How many optimizer steps each epoch has; schedules are drawn along it.

    Attributes:
        steps_per_epoch: Optimizer steps of each epoch, the last one perhaps cut short.
    """

    steps_per_epoch: tuple[int, ...]

    @property
    def num_epochs(self) -> int:
        """The number of epochs, a last unfinished one included."""
        return len(self.steps_per_epoch)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """The number of steps done when each epoch ends."""
        return tuple(accumulate(self.steps_per_epoch))

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.ends[-1] if self.ends else 0

    def epoch_of(self, step: int) -> int:
        """Returns the epoch of a step, both from 0; a step after the end belongs to the last epoch."""
        return min(bisect_right(self.ends, step), self.num_epochs - 1)

    def position(self, step: int) -> float:
        """Returns how many epochs are done before a step (from 0), a fraction of the running one included."""
        epoch = self.epoch_of(step)
        start = self.ends[epoch] - self.steps_per_epoch[epoch]
        return epoch + (step - start) / self.steps_per_epoch[epoch]

    def is_mark(self, done: int, every: int | float | None) -> bool:
        """Returns whether something is due that happens at regular times; it is so at the very end too.

        Args:
            done: How many steps are done, at least 1.
            every: Steps between two times; below 1 a share of an epoch; None: at the end of every epoch.
        """
        if done == self.num_steps or every is None:
            return done in self.ends
        if every >= 1:
            return done % int(every) == 0
        epoch = self.epoch_of(done - 1)
        steps = self.steps_per_epoch[epoch]
        number = done - (self.ends[epoch] - steps)  # of the step in its epoch, from 1
        if number == steps:
            return True

        def marks(number: int) -> int:
            return math.floor(number / (every * steps) + 1e-9)

        return marks(number) > marks(number - 1)


def training_length(
    train: Split, num_epochs: int | None, max_steps: int | None, batches_per_step: int
) -> TrainingLength:
    """Works out how long a training is.

    Args:
        train: What is trained on.
        num_epochs: How many epochs at most; None: any number.
        max_steps: How many optimizer steps at most; None: any number.
        batches_per_step: Batches that are accumulated.

    Raises:
        ConfigError: There is no limit, or one below 1.
    """
    for name, number in {"num_epochs": num_epochs, "max_steps": max_steps}.items():
        if number is not None and number < 1:
            raise ConfigError(f"trainer.{name}: {number}; expected at least 1")
    if num_epochs is None and max_steps is None:
        raise ConfigError("trainer.num_epochs: null, and max_steps is not given; expected one of the two")
    steps: list[int] = []
    for epoch in count() if num_epochs is None else range(num_epochs):
        steps.append(math.ceil(train.num_batches(epoch) / batches_per_step))
        if max_steps is not None and sum(steps) >= max_steps:
            steps[-1] -= sum(steps) - max_steps
            break
    return TrainingLength(tuple(steps))
