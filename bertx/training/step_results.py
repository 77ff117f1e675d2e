"""What comes of optimizer steps: losses, or numbers that are none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bertx.errors import TrainingError


@dataclass
class Sums:
    """What the steps of an epoch, or one step, add up to.

    Attributes:
        loss: The sum of losses over all targets.
        num_targets: Over how much the loss is a sum: instances, hidden pieces, or their weights.
        penalty: The sum of the regularizer's penalties over all steps.
        num_steps: How many steps.
        num_instances: How many instances they saw.
    """

    loss: float = 0.0
    num_targets: float = 0.0
    penalty: float = 0.0
    num_steps: int = 0
    num_instances: int = 0

    def add(self, other: Sums) -> None:
        """Adds further steps."""
        self.loss += other.loss
        self.num_targets += other.num_targets
        self.penalty += other.penalty
        self.num_steps += other.num_steps
        self.num_instances += other.num_instances

    @property
    def mean_loss(self) -> float:
        """The loss per target and the penalty per step together; NaN if there was no target."""
        if not self.num_targets:
            return math.nan
        return self.loss / self.num_targets + self.penalty / self.num_steps


class NotFinite(TrainingError):
    """A loss or a gradient is infinite or NaN; the weights are as they were before the step.

    Args:
        message: What the user reads.
        sums: The losses of the step, as they are.
        rows: The rows that are to blame, as far as that can be told.
        is_overflow: Whether a smaller scale of fp16 losses, which is set already, is likely to mend it.
    """

    def __init__(self, message: str, sums: Sums, rows: Sequence[int], *, is_overflow: bool) -> None:
        super().__init__(message)
        self.sums, self.rows, self.is_overflow = sums, rows, is_overflow
