"""Where a training is: all that its loop counts, and what it has summed up in the running epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import cast

from bertx.data.instance import JSON
from bertx.training.step_results import Sums
from bertx.training.trainer import Metrics


@dataclass
class Position:
    """A place between two optimizer steps.

    Attributes:
        epoch: The running epoch, from 0.
        batch: How many of its batches are done.
        step: How many optimizer steps are done, skipped ones included.
        validated_at: The step after which the last validation was.
        reported_at: The step after which the last epoch was reported.
        skipped: How many steps the running epoch skipped.
        skipped_in_row: How many steps were skipped since the last one that was not.
        seconds: How long was trained.
        sums: The losses of the running epoch.
        validation: What the last validation found.
        metrics: What was reported of the last epoch.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    validated_at: int = 0
    reported_at: int = 0
    skipped: int = 0
    skipped_in_row: int = 0
    seconds: float = 0.0
    sums: Sums = field(default_factory=Sums)
    validation: dict[str, float] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=dict)

    def next_epoch(self) -> None:
        """Goes to the beginning of the next epoch."""
        self.epoch, self.batch, self.skipped = self.epoch + 1, 0, 0
        self.sums = Sums()

    def state_dict(self) -> dict[str, JSON]:
        """Returns what `load_state_dict` takes."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Goes to the place that `state_dict` described."""
        for name, value in state.items():
            setattr(self, name, value)
        self.sums = Sums(**cast("dict[str, float]", state["sums"]))  # type: ignore[arg-type]
