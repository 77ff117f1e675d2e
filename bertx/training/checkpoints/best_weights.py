"""The weights of the best validation, in one file that says how good they are."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from bertx.training.weights import write_tensors

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worth:
    """How good weights are.

    Attributes:
        step: After how many optimizer steps.
        value: The validation metric, or NaN if nothing was validated.
    """

    step: int
    value: float


@dataclass(frozen=True)
class BestWeights:
    """Keeps the best weights; better ones are never overwritten by worse ones.

    A training that goes on from a checkpoint older than these weights comes by the same place again. What it
    then finds replaces them only if it is better; on the same machine it is the same.

    Attributes:
        path: The file.
        metric: The signed name of the metric, such as `+accuracy`.
    """

    path: Path
    metric: str

    def save(self, weights: Mapping[str, Tensor], worth: Worth) -> None:
        """Writes weights, unless there are better ones.

        Raises:
            CheckpointError: The disk is full, for instance; what was there is still there.
        """
        there = self.worth()
        if there is not None and self._is_worse(worth, there):
            logger.info(
                "%s: kept, with %s %.6g of step %d; step %d has %.6g",
                *(self.path, self.metric[1:], there.value, there.step, worth.step, worth.value),
            )
            return
        about = {"step": worth.step, "validation_metric": self.metric, "value": worth.value}
        write_tensors(self.path, weights, json.dumps(about))

    def worth(self) -> Worth | None:
        """Returns how good the weights in the file are; None if there are none that can be read."""
        try:
            with safe_open(self.path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["bertx"])
            if about["validation_metric"] != self.metric:
                return None
            return Worth(int(about["step"]), float(about["value"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None

    def _is_worse(self, one: Worth, other: Worth) -> bool:
        if math.isnan(other.value):
            return False
        sign = 1.0 if self.metric.startswith("+") else -1.0
        return math.isnan(one.value) or sign * one.value < sign * other.value
