"""The family of trainers."""

from __future__ import annotations

from abc import abstractmethod

from bertx.config.registrable import Registrable

Metrics = dict[str, float]


class Trainer(Registrable):
    """Trains a model on a split; on return the model holds its best weights."""

    default_implementation = "gradient_descent"

    @abstractmethod
    def train(self) -> Metrics:
        """Trains to the end and returns the metrics, named as in `metrics.json`.

        Raises:
            TrainingError: The loss is not a finite number.
        """
