"""Several schedulers, one after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import cast

import torch

from bertx.config.registrable import Lazy, Runtime
from bertx.data.instance import JSON
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler, require
from bertx.training.schedulers.training_length import TrainingLength


@LearningRateScheduler.register("combined")
class Combined(LearningRateScheduler):
    """Gives some epochs to one scheduler, the next ones to another.

    Each begins with the optimizer's own rates and sees its epochs as if they were the whole training. When
    the epochs of all are over, the rate stays as it is. In AllenNLP a scheduler goes on from the rate of the
    one before, which is often 0 by then, and is told the steps of the whole training.

    Args:
        optimizer: Whose rates it sets.
        length: Where the epochs are.
        validation_metric: The trainer's, with its sign.
        schedulers: Pairs of a number of epochs and a scheduler; what training does not reach is left out.
    """

    def __init__(
        self,
        optimizer: Runtime[torch.optim.Optimizer],
        length: Runtime[TrainingLength],
        validation_metric: Runtime[str],
        schedulers: list[tuple[int, Lazy[LearningRateScheduler]]],
    ) -> None:
        super().__init__(optimizer)
        require(bool(schedulers), "schedulers", "[]", "at least one")
        self.starts, self.end = list[int](), 0
        self.schedulers = list[LearningRateScheduler]()
        first_epoch = 0
        for num_epochs, scheduler in schedulers:
            require(num_epochs > 0, "schedulers", f"{num_epochs} epochs", "at least 1")
            part = TrainingLength(length.steps_per_epoch[first_epoch : first_epoch + num_epochs])
            first_epoch += num_epochs
            if part.num_steps:
                self.schedulers.append(
                    scheduler.build_with(
                        optimizer=optimizer,
                        num_steps=part.num_steps,
                        length=part,
                        validation_metric=validation_metric,
                    )
                )
                self.starts.append(self.end)
                self.end += part.num_steps

    def _at(self, step: int) -> tuple[LearningRateScheduler, int]:
        """Returns whose turn it is at a step, and the number of the step among its own."""
        step = max(0, min(step, self.end - 1))
        number = bisect_right(self.starts, step) - 1
        return self.schedulers[number], step - self.starts[number]

    def rates(self, step: int) -> list[float]:
        """Returns the rate of every group for an optimizer step; the first step is 0."""
        scheduler, step = self._at(step)
        return scheduler.rates(step)

    def set_rates(self, step: int) -> None:
        """Lets the scheduler whose turn it is set the rates; the first step is 0."""
        scheduler, step = self._at(step)
        scheduler.set_rates(step)

    def on_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Tells the scheduler whose steps were validated; see `Schedule`."""
        if step <= self.end:
            scheduler, last = self._at(step - 1)
            scheduler.on_validation(last + 1, metrics)

    def state_dict(self) -> dict[str, JSON]:
        """Returns the states of all."""
        return {"schedulers": [scheduler.state_dict() for scheduler in self.schedulers]}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back what `state_dict` returned."""
        states = cast(list[dict[str, JSON]], state["schedulers"])
        # A training made longer may reach schedulers that it did not before.
        for scheduler, of_scheduler in zip(self.schedulers, states, strict=False):
            scheduler.load_state_dict(of_scheduler)
