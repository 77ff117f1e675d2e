"""How momentum changes from step to step."""

from __future__ import annotations

from abc import abstractmethod

import torch

from bertx.config.registrable import Registrable, Runtime
from bertx.errors import ConfigError
from bertx.training.schedulers.schedule import Schedule
from bertx.training.schedulers.training_length import TrainingLength


class MomentumScheduler(Schedule, Registrable):
    """Sets `momentum` or the first of `betas` before every optimizer step, as a factor on each group's own.

    Args:
        optimizer: Whose momentum it sets.

    Raises:
        ConfigError: The optimizer has no momentum.
    """

    def __init__(self, optimizer: Runtime[torch.optim.Optimizer]) -> None:
        self.optimizer = optimizer
        self.base_momenta: list[float] = []
        for group in optimizer.param_groups:
            momentum = group["momentum"] if "momentum" in group else group.get("betas", [0.0])[0]
            if not momentum:
                raise ConfigError(
                    "trainer.momentum_scheduler: the optimizer has no momentum to schedule; set "
                    "trainer.optimizer.momentum or choose an optimizer with betas, such as adamw"
                )
            self.base_momenta.append(momentum)

    @abstractmethod
    def factor(self, step: int) -> float:
        """Returns the factor for an optimizer step; the first step is 0."""

    def set_momentum(self, step: int) -> None:
        """Sets the momentum for an optimizer step; the first step is 0."""
        factor = self.factor(step)
        for group, own in zip(self.optimizer.param_groups, self.base_momenta, strict=True):
            if "momentum" in group:
                group["momentum"] = own * factor
            else:
                group["betas"] = (own * factor, *group["betas"][1:])


@MomentumScheduler.register("inverted_triangular")
class InvertedTriangular(MomentumScheduler):
    """Lowers momentum epoch by epoch, raises it again to what it was, then leaves it so.

    Args:
        optimizer: Whose momentum it sets.
        length: Where the epochs are.
        cool_down: The number of falling epochs.
        warm_up: The number of rising epochs.
        ratio: How many times lower the lowest momentum is.

    Raises:
        ConfigError: A number is not positive.
    """

    def __init__(
        self,
        optimizer: Runtime[torch.optim.Optimizer],
        length: Runtime[TrainingLength],
        cool_down: int,
        warm_up: int,
        *,
        ratio: float = 10,
    ) -> None:
        super().__init__(optimizer)
        for name, value in {"cool_down": cool_down, "warm_up": warm_up, "ratio": ratio}.items():
            if value <= 0:
                raise ConfigError(f"trainer.momentum_scheduler.{name}: {value}; expected more than 0")
        self.length, self.cool_down, self.warm_up, self.ratio = length, cool_down, warm_up, ratio

    def factor(self, step: int) -> float:
        """Returns the factor for an optimizer step; the first step is 0."""
        epoch = self.length.epoch_of(step)
        if epoch <= self.cool_down:
            lost = epoch / self.cool_down
        else:
            lost = max(0.0, 1 - (epoch - self.cool_down) / self.warm_up)
        return 1 - (1 - 1 / self.ratio) * lost
