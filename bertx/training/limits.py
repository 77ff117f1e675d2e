"""The numbers that a training goes by."""

from __future__ import annotations

from dataclasses import dataclass

from bertx.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """The numbers that the loop goes by.

    Attributes:
        batches_per_step: Batches per optimizer step.
        validate_every: Steps, or a share of an epoch, between two validations; None: after every epoch.
        max_seconds: How long to train; None: to the last step.
        max_skipped_steps: How many steps in a row may fail.

    Raises:
        ConfigError: A number is out of its range.
    """

    batches_per_step: int
    validate_every: int | float | None
    max_seconds: float | None
    max_skipped_steps: int

    def __post_init__(self) -> None:
        for name, count in {
            "num_gradient_accumulation_steps": self.batches_per_step,
            "max_skipped_steps": self.max_skipped_steps,
        }.items():
            if count < 1:
                raise ConfigError(f"trainer.{name}: {count}; expected at least 1")
        seconds, every = self.max_seconds, self.validate_every
        if seconds is not None and seconds <= 0:
            raise ConfigError(
                f"trainer.max_seconds: {seconds}; expected a number above 0, or null for no limit"
            )
        if every is not None and (every <= 0 or (every > 1 and not float(every).is_integer())):
            raise ConfigError(
                f"trainer.validate_every: {every}; expected a whole number of steps, or a share of an epoch"
            )
