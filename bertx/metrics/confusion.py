"""Counts of every label against every prediction, which many metrics are computed from."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bertx.data.instance import JSON


class ConfusionCounts:
    """Counts gold labels (rows) against predictions (columns).

    The last row holds instances whose gold label the model does not know.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything counted."""
        self._counts: Tensor | None = None

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Counts one batch: float (batch, num_labels) and int (batch,)."""
        num_labels = logits.shape[-1]
        gold = torch.where(labels < 0, num_labels, labels)
        cells = gold * num_labels + logits.argmax(dim=-1)
        counts = torch.bincount(cells.cpu(), minlength=(num_labels + 1) * num_labels)
        self._add(counts.reshape(num_labels + 1, num_labels))

    def merge(self, other: ConfusionCounts) -> None:
        """Adds what another one counted."""
        if other._counts is not None:
            self._add(other._counts)

    def state_dict(self) -> dict[str, JSON]:
        """Returns what was counted; see `Statistic`."""
        return {"counts": None if self._counts is None else self._counts.tolist()}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes what `state_dict` returned; see `Statistic`."""
        counts = state["counts"]
        self._counts = None if counts is None else torch.tensor(counts)

    def _add(self, counts: Tensor) -> None:
        self._counts = counts if self._counts is None else self._counts + counts

    @property
    def matrix(self) -> Tensor | None:
        """Float64, (num_labels + 1, num_labels); None if nothing was counted."""
        return self._counts.double() if self._counts is not None and self._counts.any() else None
