"""Learning rates that follow from the number of the step alone, and the warm-up that many begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler, require
from bertx.training.schedulers.step_counts import number_of_steps

Rate: TypeAlias = Callable[[float, int], float]
"""What the rate of a group is, by its own rate and the number of the step, from 0."""


class Curve(LearningRateScheduler):
    """Draws one formula for all groups, each from its own rate.

    Args:
        optimizer: Whose rates it sets.
        rate: The formula.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, rate: Rate) -> None:
        super().__init__(optimizer)
        self.rate = rate

    def rates(self, step: int) -> list[float]:
        """Returns the rate of every group for an optimizer step; the first step is 0."""
        return [self.rate(base, step) for base in self.base_rates]


def scaled(factor: Callable[[int], float]) -> Rate:
    """Makes a formula of a factor on each group's own rate."""
    return lambda base, step: base * factor(step)


def warmed_up(warmup_steps: int, then: Rate, *, start: float = 0.0) -> Rate:
    """Puts a linear rise to a group's own rate before a formula, whose steps count from the rise's end.

    Args:
        warmup_steps: The number of rising steps.
        then: The formula after them.
        start: The factor on the first step's rate.

    Raises:
        ConfigError: The factor is below 0.
    """
    require(start >= 0, "warmup_rate", start, "0 or more")

    def rate(base: float, step: int) -> float:
        if step < warmup_steps:
            return base * (start + (1 - start) * step / warmup_steps)
        return then(base, step - warmup_steps)

    return rate


def num_rising(written: int | float, num_steps: int, name: str) -> int:
    """Returns the number of warm-up steps that a config means; see `number_of_steps`."""
    return number_of_steps(written, num_steps, f"trainer.learning_rate_scheduler.{name}")
