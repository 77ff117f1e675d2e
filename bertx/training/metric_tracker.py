"""Which validation was best, and whether it is time to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bertx.data.instance import JSON
from bertx.errors import ConfigError


class MetricTracker:
    """Watches one validation metric; only a strictly better value counts, NaN never does.

    Args:
        validation_metric: `+name` if higher is better, `-name` if lower is.
        patience: Stop after this many validations without a better value; None: never.

    Raises:
        ConfigError: The metric has no sign or no name, or patience is not positive.
    """

    def __init__(self, validation_metric: str, patience: int | None = None) -> None:
        if validation_metric in ("+", "-"):
            raise ConfigError(
                f'trainer.validation_metric: "{validation_metric}" has no name; write "+accuracy" or "-loss"'
            )
        if validation_metric[:1] not in ("+", "-"):
            raise ConfigError(
                f'trainer.validation_metric: "{validation_metric}" has no sign; '
                'write "+accuracy" where higher is better, "-loss" where lower is'
            )
        if patience is not None and patience < 1:
            raise ConfigError(
                f"trainer.patience: {patience}; expected at least 1, or null to never stop early"
            )
        self.sign, self.name = (1.0 if validation_metric[0] == "+" else -1.0), validation_metric[1:]
        self.patience = patience
        self.best_value = math.nan
        self.best_epoch: int | None = None
        self.best_step: int | None = None
        self.best_metrics: dict[str, float] = {}
        self.validations_without_improvement = 0

    @property
    def signed_name(self) -> str:
        """The name of the metric as configs have it."""
        return f"{'+' if self.sign > 0 else '-'}{self.name}"

    def require(self, available: Mapping[str, float]) -> None:
        """Checks, before training, that the model will report the metric.

        Raises:
            ConfigError: It will not.
        """
        if self.name not in available:
            raise ConfigError(
                f'trainer.validation_metric: the model reports no "{self.name}"; '
                f"it reports: {', '.join(sorted(available))}"
            )

    def add(self, epoch: int, metrics: Mapping[str, float], step: int = 0) -> bool:
        """Takes the metrics of a validation; returns whether it is the best so far.

        Args:
            epoch: The epoch that it was made in, from 0.
            metrics: What it found.
            step: How many optimizer steps were done before.

        Raises:
            ConfigError: The metric is not among them.
        """
        self.require(metrics)
        value = metrics[self.name]
        is_best = not math.isnan(value) and (
            self.best_epoch is None or self.sign * value > self.sign * self.best_value
        )
        if is_best:
            self.best_value, self.best_epoch, self.best_step = value, epoch, step
            self.best_metrics = dict(metrics)
        self.validations_without_improvement = 0 if is_best else self.validations_without_improvement + 1
        return is_best

    @property
    def out_of_patience(self) -> bool:
        """Whether `patience` validations have passed without a better value."""
        return self.patience is not None and self.validations_without_improvement >= self.patience

    def state_dict(self) -> dict[str, JSON]:
        """Returns what was found so far; patience is not a part of it, so that it can be changed."""
        return {
            "best_value": self.best_value,
            "best_epoch": self.best_epoch,
            "best_step": self.best_step,
            "best_metrics": {**self.best_metrics},
            "validations_without_improvement": self.validations_without_improvement,
        }

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes what `state_dict` returned."""
        for name, value in state.items():
            setattr(self, name, value)
