"""Whether an exported model computes what its run computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bertx.errors import ExportError
from bertx.progress import Progress

Predict: TypeAlias = Callable[[Mapping[str, Tensor]], Tensor]
"""Computes logits, float (batch, labels), of what `Rows.batches` has."""


@dataclass(frozen=True)
class Parity:
    """How far two models are from each other.

    Attributes:
        largest_difference: The largest absolute difference of two logits; NaN if one is no finite number.
        agreement: The share of rows that both give the same label.
    """

    largest_difference: float
    agreement: float


def logits_of(predict: Predict, batches: Sequence[Mapping[str, Tensor]], what: str) -> Tensor:
    """Computes the logits of all rows: float, (rows, labels); `what` computes them, for the progress bar."""
    found = []
    with torch.inference_mode(), Progress(f"compare {what}", len(batches), unit="batches") as progress:
        for batch in batches:
            found.append(predict(batch))
            progress.advance()
    return torch.cat(found)


def compare(expected: Tensor, found: Tensor) -> Parity:
    """Compares logits, each float (rows, labels).

    Raises:
        ExportError: They are not of the same shape.
    """
    if found.shape != expected.shape:
        shapes = f"{tuple(found.shape)} logits, the run {tuple(expected.shape)}"
        raise ExportError(f"the exported model gives {shapes}; nothing was written")
    same = found.argmax(dim=1) == expected.argmax(dim=1)
    return Parity(float((found - expected).abs().max()), float(same.double().mean()))


def require_parity(parity: Parity, tolerance: float) -> None:
    """Refuses an export whose logits differ, or whose labels do.

    Args:
        parity: What was found.
        tolerance: The largest difference of logits that is accepted.

    Raises:
        ExportError: One is too far off.
    """
    # NaN is never within the tolerance.
    if not parity.largest_difference <= tolerance or parity.agreement < 1:
        raise ExportError(
            "the exported model does not compute what the run computes: the largest difference of logits is "
            f"{parity.largest_difference:.3g} (accepted: {tolerance:g}), and {parity.agreement:.2%} of the "
            "labels agree (accepted: 100%); nothing was written. --tolerance accepts a larger difference"
        )


def accuracy(logits: Tensor, labels: npt.NDArray[np.int64]) -> float:
    """Returns the share of rows whose label is right; logits are float (rows, labels)."""
    return float(np.mean(logits.argmax(dim=1).numpy() == labels))
