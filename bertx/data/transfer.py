"""Batches on their way to where they are computed."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bertx.data.batch import Batch
from bertx.data.prefetch import one_ahead


def on_device(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """Yields batches on a device; those for the CPU stay as they are.

    While a GPU computes one, a thread makes the next and asks for its copy, which the GPU fetches by itself.

    Args:
        batches: In the memory of the CPU.
        device: Where they are to be.
    """
    if device.type == "cpu":
        yield from batches
    elif device.type == "cuda":
        yield from one_ahead(batch.packed_for(device).pinned().to(device) for batch in batches)
    else:
        yield from (batch.to(device) for batch in batches)
