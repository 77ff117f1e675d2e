"""The share of instances whose label is predicted."""

from __future__ import annotations

from torch import Tensor

from bertx.metrics.metric import Metric


@Metric.register("categorical_accuracy")
class CategoricalAccuracy(Metric):
    """Counts the label as predicted if it is among the `top_k` highest logits.

    Args:
        top_k: How many guesses the model has.
    """

    def __init__(self, top_k: int = 1) -> None:
        if top_k < 1:
            raise ValueError(f"top_k is {top_k}; it must be at least 1")
        self.top_k = top_k
        self._correct = self._total = 0

    def __call__(self, logits: Tensor, labels: Tensor) -> None:
        """Counts one batch; see `Metric`."""
        guesses = logits.topk(min(self.top_k, logits.shape[-1]), dim=-1).indices  # (batch, top_k)
        self._correct += int((guesses == labels[:, None]).any(dim=-1).sum())
        self._total += labels.numel()

    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns the values by name; see `Statistic`."""
        value = self._correct / self._total if self._total else float("nan")
        if reset:
            self._correct = self._total = 0
        return {"accuracy": value}

    def merge(self, other: CategoricalAccuracy) -> None:
        """Adds what another one counted."""
        self._correct += other._correct
        self._total += other._total
