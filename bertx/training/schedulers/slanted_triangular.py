"""The schedule of ULMFiT: a steep rise, a long fall, and layers that join one after another."""

from __future__ import annotations

import torch

from bertx.config.registrable import Runtime
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler, require
from bertx.training.schedulers.training_length import TrainingLength


@LearningRateScheduler.register("slanted_triangular")
class SlantedTriangular(LearningRateScheduler):
    """Raises the rate linearly in a short time, then lowers it linearly in a long one.

    Layers are the groups of the optimizer, from the lowest one to the head; list them in that order in
    `trainer.optimizer.parameter_groups`. AllenNLP wants the same, but guesses how long an epoch is.

    Source: Howard & Ruder 2018 (Universal Language Model Fine-tuning), sections 3.2 and 3.3.

    Args:
        optimizer: Whose rates it sets.
        length: Where the epochs are.
        cut_frac: The share of the steps in which the rate rises.
        ratio: How many times the highest rate, which is each group's own, is above the lowest.
        gradual_unfreezing: Whether to train the topmost layer alone in the first epoch, two in the second and
            so on; each epoch before all are trained has a triangle of its own.
        discriminative_fine_tuning: Whether each layer has a lower rate than the one above it.
        decay_factor: What rates are multiplied by from layer to layer.
    """

    def __init__(
        self,
        optimizer: Runtime[torch.optim.Optimizer],
        length: Runtime[TrainingLength],
        *,
        cut_frac: float = 0.1,
        ratio: float = 32,
        gradual_unfreezing: bool = False,
        discriminative_fine_tuning: bool = False,
        decay_factor: float = 0.38,
    ) -> None:
        super().__init__(optimizer)
        require(0 <= cut_frac < 1, "cut_frac", cut_frac, "at least 0 and less than 1")
        require(ratio > 0, "ratio", ratio, "more than 0")
        self.length, self.cut_frac, self.ratio = length, cut_frac, ratio
        self.gradual_unfreezing = gradual_unfreezing
        self.depths = _depths(optimizer)
        layered, deepest = "one parameter group for each layer, but there is one in all", max(self.depths)
        require(deepest > 0 or not gradual_unfreezing, "gradual_unfreezing", "true", layered)
        require(deepest > 0 or not discriminative_fine_tuning, "discriminative_fine_tuning", "true", layered)
        if discriminative_fine_tuning:
            rates = zip(self.base_rates, self.depths, strict=True)
            self.base_rates = [rate * decay_factor**depth for rate, depth in rates]
        # The first epoch in which all layers are trained.
        self.first_whole_epoch = min(deepest, length.num_epochs) if gradual_unfreezing else 0

    def rates(self, step: int) -> list[float]:
        """Returns the rate of every group for an optimizer step; the first step is 0."""
        factor = self._factor(step)
        return [rate * factor for rate in self.base_rates]

    def _factor(self, step: int) -> float:
        epoch, ends = self.length.epoch_of(step), (0, *self.length.ends)
        if epoch < self.first_whole_epoch:
            first, end = ends[epoch], ends[epoch + 1]
        else:
            first, end = ends[self.first_whole_epoch], self.length.num_steps
        number, num_steps = min(step + 1, end) - first, end - first
        cut = int(num_steps * self.cut_frac)
        height = number / cut if number < cut else 1 - (number - cut) / (num_steps - cut)
        return (1 + height * (self.ratio - 1)) / self.ratio

    def set_rates(self, step: int) -> None:
        """Sets the rates for an optimizer step, and which layers are trained; the first step is 0."""
        super().set_rates(step)
        if self.gradual_unfreezing:
            for depth, group in zip(self.depths, self.optimizer.param_groups, strict=True):
                for parameter in group["params"]:
                    parameter.requires_grad = depth <= self.length.epoch_of(step)


def _depths(optimizer: torch.optim.Optimizer) -> list[int]:
    """Counts for each group the layers above it; what weight decay spares of a layer is in a second group."""
    numbers = [group.get("number", place) for place, group in enumerate(optimizer.param_groups)]
    return [len({other for other in numbers if other > number}) for number in numbers]
