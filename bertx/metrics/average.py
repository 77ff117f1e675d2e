"""The mean of what was counted."""

from __future__ import annotations

import math

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
