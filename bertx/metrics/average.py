"""The mean of what was counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

from bertx.data.instance import JSON
from bertx.metrics.metric import Statistic


class Average(Statistic):
    """Averages values over instances.

    Args:
        name: What the mean is reported as.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._sum = 0.0
        self._count = 0

    def add(self, value_sum: float, count: int) -> None:
        """Counts a batch: the sum of its values, and how many they are."""
        self._sum += value_sum
        self._count += count

    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns the mean by its name; see `Statistic`."""
        mean = self._sum / self._count if self._count else math.nan
        if reset:
            self._sum, self._count = 0.0, 0
        return {self._name: mean}

    def merge(self, other: Average) -> None:
        """Adds what another one counted."""
        self.add(other._sum, other._count)

    def state_dict(self) -> dict[str, JSON]:
        """Returns what was counted; see `Statistic`."""
        return {"sum": self._sum, "count": self._count}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes what `state_dict` returned; see `Statistic`."""
        self._sum, self._count = cast(float, state["sum"]), cast(int, state["count"])
