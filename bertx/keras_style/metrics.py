"""Metrics: what a classifier reports beside its loss, by Keras's names."""

from __future__ import annotations

from bertx.metrics.categorical_accuracy import CategoricalAccuracy


class SparseTopKCategoricalAccuracy(CategoricalAccuracy):
    """The share of rows whose class is among the `k` with the highest outputs.

    Args:
        k: How many guesses the model has.
        name: What the value is called in histories and results.

    Raises:
        ConfigError: There are no guesses.
    """

    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy") -> None:
        super().__init__(k)
        self.name = name

    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns the value by its name; NaN if nothing was counted."""
        return {self.name: super().get_metric(reset)["accuracy"]}


class SparseCategoricalAccuracy(SparseTopKCategoricalAccuracy):
    """The share of rows whose class is predicted.

    Args:
        name: What the value is called in histories and results.
    """

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(1, name)
