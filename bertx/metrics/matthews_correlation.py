"""The correlation of predictions and labels, robust where one label is rare."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from bertx.data.instance import JSON
from bertx.metrics.confusion import ConfusionCounts
from bertx.metrics.metric import Metric


@Metric.register("matthews_correlation")
class MatthewsCorrelation(Metric):
    """Computes Matthews' correlation for any number of labels; 0 if all predictions are the same.

    Source: Gorodkin 2004, Comparing two K-category assignments by a K-category correlation coefficient.
    """

    def __init__(self) -> None:
        self._counts = ConfusionCounts()

    def __call__(self, logits: Tensor, labels: Tensor) -> None:
        """Counts one batch; see `Metric`."""
        self._counts.add(logits, labels)

    def merge(self, other: MatthewsCorrelation) -> None:
        """Adds what another one counted."""
        self._counts.merge(other._counts)

    def state_dict(self) -> dict[str, JSON]:
        """Returns what was counted; see `Statistic`."""
        return self._counts.state_dict()

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes what `state_dict` returned; see `Statistic`."""
        self._counts.load_state_dict(state)

    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns the values by name; see `Statistic`."""
        matrix = self._counts.matrix
        if reset:
            self._counts.reset()
        if matrix is None:
            return {"matthews_correlation": float("nan")}
        total, correct = matrix.sum(), matrix.diagonal().sum()
        predicted, occurring = matrix.sum(dim=0), matrix.sum(dim=1)  # (num_labels,), (num_labels + 1,)
        covariance = correct * total - (predicted * occurring[:-1]).sum()
        spread = (total**2 - (predicted**2).sum()) * (total**2 - (occurring**2).sum())
        return {"matthews_correlation": float(covariance) / math.sqrt(float(spread)) if spread > 0 else 0.0}
