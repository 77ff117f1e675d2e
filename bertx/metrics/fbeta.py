"""Precision, recall and their weighted harmonic mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.metrics.confusion import ConfusionCounts
from bertx.metrics.metric import Metric


@Metric.register("fbeta")
class FBeta(Metric):
    """Averages precision, recall and F-beta over the labels.

    A label that neither occurs nor is predicted does not count in the averages; where a precision or recall
    divides zero by zero it is 0, as in scikit-learn. An instance whose gold label the model does not know is
    a wrong prediction of some label; such gold labels are no further labels for the `macro` average.

    Source: van Rijsbergen 1979, Information Retrieval, chapter 7.

    Args:
        beta: How much more recall counts than precision; 1 gives F1.
        average: `macro` averages over labels, `weighted` by how often each occurs, `micro` counts all
            together.

    Raises:
        ConfigError: `beta` is not above 0.
    """

    def __init__(self, beta: float = 1.0, average: Literal["macro", "micro", "weighted"] = "macro") -> None:
        if beta <= 0:
            raise ConfigError(f"fbeta.beta: {beta}; expected a number above 0")
        self.beta, self.average = beta, average
        self._counts = ConfusionCounts()

    def __call__(self, logits: Tensor, labels: Tensor) -> None:
        """Counts one batch; see `Metric`."""
        self._counts.add(logits, labels)

    def merge(self, other: FBeta) -> None:
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
            return dict.fromkeys(("precision", "recall", "fscore"), float("nan"))
        true_positives = matrix.diagonal()  # (num_labels,)
        predicted, occurring = matrix.sum(dim=0), matrix[:-1].sum(dim=1)
        if self.average == "micro":
            # Instances of unknown gold labels were predicted as something, and occur too.
            true_positives, predicted, occurring = true_positives.sum(), matrix.sum(), matrix.sum()
        precision = ratio(true_positives, predicted)
        recall = ratio(true_positives, occurring)
        beta2 = self.beta**2
        fscore = ratio((1 + beta2) * true_positives, beta2 * occurring + predicted)
        weights = self._weights(predicted, occurring)
        values = {"precision": precision, "recall": recall, "fscore": fscore}
        return {name: float((value * weights).sum()) for name, value in values.items()}

    def _weights(self, predicted: Tensor, occurring: Tensor) -> Tensor:
        if self.average == "weighted":
            # As many instances have a gold label, known or not, as have a prediction.
            return occurring / predicted.sum()
        counted = ((predicted + occurring) > 0).double()
        return counted / counted.sum()


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Divides, giving 0 where the whole is 0."""
    return torch.where(whole > 0, part / torch.where(whole > 0, whole, 1.0), 0.0)
