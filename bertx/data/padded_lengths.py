"""The lengths that batches are padded to: a ladder with few rungs.

A matrix product is compiled for its sizes: for each new length of a batch oneDNN writes some forty kernels,
which takes half as long as a training step, and a GPU's graphs are recorded for their sizes. The rungs are at
most a quarter apart; with rows of one rung put together a ladder costs no more padding than none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Rounding: TypeAlias = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]

FINEST = 2
RUNGS_PER_DOUBLING = 4


def padded_lengths(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rounds lengths up to the next rung: 2, 4, ..., 16, 20, ..., 32, 40, ..., 64, 80, and so on.

    Args:
        lengths: int64, any shape, at least 0.

    Returns:
        int64, of the same shape.
    """
    doublings = np.floor(np.log2(np.maximum(lengths - 1, 1))).astype(np.int64)
    steps = np.maximum((1 << doublings) // RUNGS_PER_DOUBLING, FINEST)
    rungs: npt.NDArray[np.int64] = -(-lengths // steps) * steps
    return rungs


def exact_lengths(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Leaves lengths as they are, for what computes every length alike."""
    return lengths
