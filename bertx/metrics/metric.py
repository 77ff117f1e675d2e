"""The family of metrics: numbers counted over a whole split, batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Self

from torch import Tensor

from bertx.config.registrable import Registrable
from bertx.data.instance import JSON


class Statistic(ABC):
    """Counts that add up: over batches, and over the parts of a data set."""

    @abstractmethod
    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns the values by name, NaN where nothing was counted; the names never change.

        Args:
            reset: Whether to start again from nothing afterwards.
        """

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Adds what another one counted."""

    @abstractmethod
    def state_dict(self) -> dict[str, JSON]:
        """Returns what was counted, for a checkpoint or another process."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes what `state_dict` returned in place of what was counted."""


class Metric(Statistic, Registrable):
    """Compares predictions with labels; its value does not depend on how the data was cut into batches."""

    @abstractmethod
    def __call__(self, logits: Tensor, labels: Tensor) -> None:
        """Counts one batch.

        Args:
            logits: float, (batch, num_labels).
            labels: int, (batch,); a negative label is one that the model does not know: always wrong.
        """


def unread(count: Tensor) -> Tensor | int:
    """Returns a count as a number; one of a GPU stays there, since reading it would wait for queued work."""
    return count if count.device.type == "cuda" else int(count)
