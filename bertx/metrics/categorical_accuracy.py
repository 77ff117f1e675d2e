"""The share of instances whose label is predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import Tensor

from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.metrics.metric import Metric, unread


@Metric.register("categorical_accuracy")
class CategoricalAccuracy(Metric):
    """Counts the label as predicted if it is among the `top_k` highest logits.

    Of equal logits the one of the smaller label id counts as the higher, as in `argmax`.

    Args:
        top_k: How many guesses the model has.

    Raises:
        ConfigError: There are no guesses.
    """

    def __init__(self, top_k: int = 1) -> None:
        if top_k < 1:
            raise ConfigError(f"categorical_accuracy.top_k: {top_k}; expected at least 1")
        self.top_k = top_k
        self._correct: Tensor | int = 0
        self._total = 0

    def __call__(self, logits: Tensor, labels: Tensor) -> None:
        """Counts one batch; see `Metric`."""
        # Not topk, which leaves the order of equal logits open.
        ranked = logits.argsort(dim=-1, descending=True, stable=True)  # (batch, num_labels)
        guesses = ranked[:, : self.top_k]  # (batch, top_k)
        self._correct += unread((guesses == labels[:, None]).any(dim=-1).sum())
        self._total += labels.numel()

    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns the values by name; see `Statistic`."""
        value = int(self._correct) / self._total if self._total else float("nan")
        if reset:
            self._correct = self._total = 0
        return {"accuracy": value}

    def merge(self, other: CategoricalAccuracy) -> None:
        """Adds what another one counted."""
        self._correct += other._correct
        self._total += other._total

    def state_dict(self) -> dict[str, JSON]:
        """Returns what was counted; see `Statistic`."""
        return {"correct": int(self._correct), "total": self._total}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes what `state_dict` returned; see `Statistic`."""
        self._correct, self._total = cast(int, state["correct"]), cast(int, state["total"])
