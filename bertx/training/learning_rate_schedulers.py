"""How the learning rate changes from step to step."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch

from bertx.config.registrable import Registrable, Runtime
from bertx.errors import ConfigError


class LearningRateScheduler(Registrable):
    """Sets the learning rate before every optimizer step, as a factor on each group's own rate.

    Args:
        optimizer: Whose rates it sets.
    """

    def __init__(self, optimizer: Runtime[torch.optim.Optimizer]) -> None:
        self.optimizer = optimizer
        self.base_rates: list[float] = [group["lr"] for group in optimizer.param_groups]

    @abstractmethod
    def factor(self, step: int) -> float:
        """Returns the factor for an optimizer step; the first step is 0."""

    def set_rates(self, step: int) -> None:
        """Sets the rates for an optimizer step; the first step is 0."""
        factor = self.factor(step)
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor


@LearningRateScheduler.register("linear_with_warmup")
class LinearWithWarmup(LearningRateScheduler):
    """Raises the rate linearly from zero, then lowers it linearly to zero at the end of training.

    The first step has the rate zero, as with Hugging Face's schedule of this name.

    Source: Devlin et al. 2019, appendix A.2.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        warmup_steps: The number of rising steps; a number below 1 is a share of all steps, rounded up.

    Raises:
        ConfigError: `warmup_steps` is negative, or neither a whole number nor a share.
    """

    def __init__(
        self,
        optimizer: Runtime[torch.optim.Optimizer],
        num_steps: Runtime[int],
        warmup_steps: int | float = 100,
    ) -> None:
        super().__init__(optimizer)
        if not (0 <= warmup_steps <= 1 or (warmup_steps > 1 and float(warmup_steps).is_integer())):
            raise ConfigError(
                f"trainer.learning_rate_scheduler.warmup_steps: {warmup_steps}; "
                "expected a whole number of steps, or a share of all steps between 0 and 1"
            )
        self.num_steps = num_steps
        is_share = warmup_steps < 1
        self.warmup_steps = math.ceil(warmup_steps * num_steps) if is_share else int(warmup_steps)

    def factor(self, step: int) -> float:
        """Returns the factor for an optimizer step; the first step is 0."""
        if step < self.warmup_steps:
            return step / self.warmup_steps
        return max(0.0, (self.num_steps - step) / max(1, self.num_steps - self.warmup_steps))
