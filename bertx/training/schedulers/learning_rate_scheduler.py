"""The family of learning rate schedulers."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from bertx.config.registrable import Registrable, Runtime
from bertx.errors import ConfigError
from bertx.training.schedulers.schedule import Schedule


class LearningRateScheduler(Schedule, Registrable):
    """Sets the learning rate of each parameter group before every optimizer step.

    Args:
        optimizer: Whose rates it sets; build the scheduler before the optimizer takes back an old state,
            which has the rates of another step in it.

    Raises:
        ConfigError: The optimizer finds its rate itself.
    """

    def __init__(self, optimizer: Runtime[torch.optim.Optimizer]) -> None:
        if any(group.get("lr") is None for group in optimizer.param_groups):
            raise ConfigError(
                "trainer.learning_rate_scheduler: the optimizer finds its rate itself, its lr is null; "
                "set trainer.optimizer.lr, or leave the scheduler out"
            )
        self.optimizer = optimizer
        self.base_rates = [float(group["lr"]) for group in optimizer.param_groups]

    @abstractmethod
    def rates(self, step: int) -> list[float]:
        """Returns the rate of every group for an optimizer step; the first step is 0."""

    def set_rates(self, step: int) -> None:
        """Sets the rates for an optimizer step; the first step is 0."""
        for group, rate in zip(self.optimizer.param_groups, self.rates(step), strict=True):
            if isinstance(group["lr"], Tensor):  # a captured graph reads it from where it is
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def require(holds: bool, name: str, value: object, expected: str) -> None:
    """Checks a setting of a scheduler.

    Raises:
        ConfigError: It does not hold.
    """
    if not holds:
        raise ConfigError(f"trainer.learning_rate_scheduler.{name}: {value}; expected {expected}")
