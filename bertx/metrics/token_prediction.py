"""How well hidden word pieces are predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, cast

from bertx.data.instance import JSON
from bertx.metrics.metric import Statistic

LARGEST_EXPONENT: Final = 709.0  # what a float64 holds: math.exp(710) overflows


class TokenPrediction(Statistic):
    """Averages loss and accuracy over word pieces; its perplexity is the exponential of the mean loss."""

    def __init__(self) -> None:
        self._loss_sum = 0.0
        self._correct = self._total = 0

    def add(self, *, loss_sum: float, correct: int, total: int) -> None:
        """Counts the predictions of one batch: the sum of losses, the hits, and the number of pieces."""
        self._loss_sum += loss_sum
        self._correct += correct
        self._total += total

    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns the values by name; see `Statistic`."""
        loss = self._loss_sum / self._total if self._total else math.nan
        accuracy = self._correct / self._total if self._total else math.nan
        if reset:
            self._loss_sum, self._correct, self._total = 0.0, 0, 0
        return {"perplexity": math.inf if loss > LARGEST_EXPONENT else math.exp(loss), "accuracy": accuracy}

    def merge(self, other: TokenPrediction) -> None:
        """Adds what another one counted."""
        self.add(loss_sum=other._loss_sum, correct=other._correct, total=other._total)

    def state_dict(self) -> dict[str, JSON]:
        """Returns what was counted; see `Statistic`."""
        return {"loss_sum": self._loss_sum, "correct": self._correct, "total": self._total}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes what `state_dict` returned; see `Statistic`."""
        self._loss_sum = cast(float, state["loss_sum"])
        self._correct, self._total = cast(int, state["correct"]), cast(int, state["total"])
