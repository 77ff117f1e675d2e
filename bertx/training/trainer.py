"""The family of trainers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeAlias

from bertx.config.registrable import Registrable
from bertx.data.instance import JSON
from bertx.training.precision import Precision

Metrics: TypeAlias = dict[str, JSON]
"""Numbers, and a few texts such as the duration, by the names of AllenNLP's `metrics.json`."""


class Trainer(Registrable):
    """Trains a model on a split."""

    default_implementation = "gradient_descent"

    @property
    def precision(self) -> Precision:
        """The arithmetic that it trains in, so that evaluations can use the same."""
        return "fp32"

    def recover(self) -> bool:
        """Goes to where an interrupted training was saved last; returns whether there is such a place."""
        return False

    @abstractmethod
    def train(self) -> Metrics:
        """Trains to the end; with a run folder, the model then holds its best weights.

        Returns:
            The metrics of the last and of the best epoch, as `metrics.json` has them.

        Raises:
            TrainingError: The loss is not a finite number, or the validation metric is not in any epoch.
        """
