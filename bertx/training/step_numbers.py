"""The batches of a step, and a step that is skipped before anybody has looked at its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

from bertx.data.batch import Batch
from bertx.data.encoded import EncodedDataset

SHOWN_IDS = 20


@dataclass
class Piece:
    """A batch of a step, or a part of one for which the whole was too large.

    Attributes:
        batch: The batch.
        is_counted: Whether the metrics have counted it.
        loss: Its mean loss, once it is computed.
        targets: Over how much that is a mean.
    """

    batch: Batch
    is_counted: bool = False
    loss: Tensor | float = 0.0
    targets: Tensor | float = 0.0

    def halves(self) -> list[Piece]:
        """Cuts a batch of more than one instance in two."""
        middle = math.ceil(self.batch.size / 2)
        parts = [self.batch.part(slice(0, middle)), self.batch.part(slice(middle, None))]
        return [Piece(part, self.is_counted) for part in parts if part.size]


def pieces_of(group: Sequence[Batch]) -> list[Piece]:
    """Begins with whole batches, of which fillers do not count."""
    return [Piece(batch, is_counted=batch.is_filler) for batch in group]


def named(rows: Sequence[int], dataset: EncodedDataset) -> str:
    """Names rows for a message, the first of them if they are many."""
    names = ", ".join(dataset.identifier(row) for row in rows[:SHOWN_IDS])
    return f"{names} and {len(rows) - SHOWN_IDS} more" if len(rows) > SHOWN_IDS else names


def can_skip(optimizer: torch.optim.Optimizer, device: torch.device, scaler: torch.amp.GradScaler) -> bool:
    """Tells whether a GPU can leave out a step whose numbers fail, before the CPU knows them.

    With a scale of losses, in fp16, the CPU looks first: a step that fails has a say in the next scale.
    """
    is_adam = isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW))
    return is_adam and device.type == "cuda" and not scaler.is_enabled() and bool(optimizer.defaults["fused"])


class _Skipping(Protocol):
    found_inf: Tensor


@contextmanager
def skipping_unless_finite(optimizer: torch.optim.Optimizer, numbers: Tensor) -> Iterator[None]:
    """Lets an optimizer leave out the steps of a block, as they are computed, if a number is not finite.

    Weights, moments and the number of steps then stay as they are. torch has it for losses in fp16.

    Args:
        optimizer: torch's fused Adam or AdamW.
        numbers: float, (numbers,), on the device of the weights.
    """
    skipping = cast(_Skipping, optimizer)
    skipping.found_inf = (~numbers.isfinite().all()).float()
    try:
        yield
    finally:
        del skipping.found_inf
