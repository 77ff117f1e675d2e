"""Schedulers that listen to validations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, cast

import torch

from bertx.config.registrable import Runtime
from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.training.schedulers.curve import num_rising, warmed_up
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler, require


@LearningRateScheduler.register("reduce_on_plateau")
class ReduceOnPlateau(LearningRateScheduler):
    """Lowers the rate when the validation metric has not become better for a while.

    It does what torch's ReduceLROnPlateau does, but for metrics below 0, where torch takes what is a little
    worse for better. The metric is taken as it is, and whether more is better follows from its sign;
    AllenNLP 2 turns a `-loss` round and still waits for it to fall.

    Args:
        optimizer: Whose rates it sets.
        validation_metric: The trainer's, with its sign.
        mode: `max` if more is better, `min` if less is; None: as the sign of the trainer's metric says.
        factor: What the rate is multiplied by.
        patience: How many validations without a better value are borne; the next one lowers the rate.
        threshold: How much better a better value is; less does not count.
        threshold_mode: Whether the threshold is a share of the best value (`rel`) or a difference (`abs`).
        cooldown: How many validations after a lowering are not counted.
        min_lr: The lowest rate, of all groups or of each.
        eps: The smallest change of a rate; smaller ones are not made.

    Raises:
        ConfigError: `mode` and the sign contradict each other, or a number is out of its range.
    """

    waits_for_validations = True

    def __init__(
        self,
        optimizer: Runtime[torch.optim.Optimizer],
        validation_metric: Runtime[str],
        *,
        mode: Literal["min", "max"] | None = None,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(optimizer)
        require(0 < factor <= 1, "factor", factor, "more than 0 and at most 1")
        require(patience >= 0, "patience", patience, "0 or more")
        require(cooldown >= 0, "cooldown", cooldown, "0 or more")
        require(threshold >= 0, "threshold", threshold, "0 or more")
        groups = len(self.base_rates)
        self.lowest = min_lr if isinstance(min_lr, list) else [min_lr] * groups
        require(len(self.lowest) == groups, "min_lr", min_lr, f"one for each of the {groups} groups")
        self.metric, self.sign = validation_metric[1:], 1 if validation_metric[0] == "+" else -1
        if mode is not None and mode != ("max" if self.sign > 0 else "min"):
            raise ConfigError(
                f'trainer.learning_rate_scheduler.mode: "{mode}", but trainer.validation_metric is '
                f'"{validation_metric}", of which {"more" if self.sign > 0 else "less"} is better; '
                "leave mode out"
            )
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.lowered = list(self.base_rates)
        self.best: float | None = None
        self.num_bad = self.num_cooling = 0

    def rates(self, step: int) -> list[float]:
        """Returns the rate of every group as it is by now."""
        return self.lowered

    def on_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes the metrics of a validation; see `Schedule`."""
        value = metrics[self.metric]
        if self._is_better(value):
            self.best, self.num_bad = value, 0
        else:
            self.num_bad += 1
        if self.num_cooling:
            self.num_cooling, self.num_bad = self.num_cooling - 1, 0
        if self.num_bad > self.patience:
            self.num_cooling, self.num_bad = self.cooldown, 0
            self._lower()

    def _is_better(self, value: float) -> bool:
        if self.best is None or not math.isfinite(value):
            return math.isfinite(value)
        scale = abs(self.best) if self.threshold_mode == "rel" else 1.0
        return self.sign * value > self.sign * self.best + self.threshold * scale

    def _lower(self) -> None:
        for group, rate in enumerate(self.lowered):
            lower = max(rate * self.factor, self.lowest[group])
            if rate - lower > self.eps:
                self.lowered[group] = lower

    def state_dict(self) -> dict[str, JSON]:
        """Returns what validations told; see `Schedule`."""
        return {
            "rates": list(self.lowered),
            "best": self.best,
            "num_bad": self.num_bad,
            "num_cooling": self.num_cooling,
        }

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back what `state_dict` returned."""
        self.lowered = list(cast(list[float], state["rates"]))
        self.best = cast(float | None, state["best"])
        self.num_bad, self.num_cooling = cast(int, state["num_bad"]), cast(int, state["num_cooling"])


@LearningRateScheduler.register("reduceonplateau")
class ParlaiReduceOnPlateau(ReduceOnPlateau):
    """Lowers the rate when the validation loss has not become lower for a while, after a warm-up.

    Validations during the warm-up do not count.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        patience: How many validations without a lower loss are borne; the next one lowers the rate.
        decay: What the rate is multiplied by.
        warmup_updates: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        warmup_rate: The factor on the first step's rate if there is a warm-up.
    """

    def __init__(
        self,
        optimizer: Runtime[torch.optim.Optimizer],
        num_steps: Runtime[int],
        *,
        patience: int = 3,
        decay: float = 0.5,
        warmup_updates: int | float = 0,
        warmup_rate: float = 1e-4,
    ) -> None:
        require(0 < decay <= 1, "decay", decay, "more than 0 and at most 1")
        super().__init__(optimizer, "-loss", factor=decay, patience=patience)
        self.warmup_steps = num_rising(warmup_updates, num_steps, "warmup_updates")
        self._rate = warmed_up(self.warmup_steps, lambda rate, step: rate, start=warmup_rate)

    def rates(self, step: int) -> list[float]:
        """Returns the rate of every group for an optimizer step; the first step is 0."""
        return [self._rate(lowered, step) for lowered in self.lowered]

    def on_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes the metrics of a validation; see `Schedule`."""
        if step >= self.warmup_steps:
            super().on_validation(step, metrics)


@LearningRateScheduler.register("fixed")
class Fixed(LearningRateScheduler):
    """Lowers the rate after every few validations, whatever they find, after a warm-up.

    Validations during the warm-up do not count.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        patience: How many validations have the same rate.
        decay: What the rate is multiplied by.
        warmup_updates: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        warmup_rate: The factor on the first step's rate if there is a warm-up.
    """

    waits_for_validations = True

    def __init__(
        self,
        optimizer: Runtime[torch.optim.Optimizer],
        num_steps: Runtime[int],
        *,
        patience: int = 3,
        decay: float = 0.5,
        warmup_updates: int | float = 0,
        warmup_rate: float = 1e-4,
    ) -> None:
        super().__init__(optimizer)
        require(patience > 0, "patience", patience, "at least 1")
        require(0 < decay <= 1, "decay", decay, "more than 0 and at most 1")
        self.patience, self.decay = patience, decay
        self.warmup_steps = num_rising(warmup_updates, num_steps, "warmup_updates")
        self._rate = warmed_up(self.warmup_steps, self._lowered, start=warmup_rate)
        self.num_validations = 0

    def _lowered(self, base: float, step: int) -> float:
        return base * self.decay ** (self.num_validations // self.patience)

    def rates(self, step: int) -> list[float]:
        """Returns the rate of every group for an optimizer step; the first step is 0."""
        return [self._rate(base, step) for base in self.base_rates]

    def on_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Counts a validation; see `Schedule`."""
        if step >= self.warmup_steps:
            self.num_validations += 1

    def state_dict(self) -> dict[str, JSON]:
        """Returns how many validations there were."""
        return {"num_validations": self.num_validations}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back what `state_dict` returned."""
        self.num_validations = cast(int, state["num_validations"])
