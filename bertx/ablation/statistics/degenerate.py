"""Runs that have not learned: their scores are numbers, but say nothing of the variant's idea."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def predicts_one_class(predictions: npt.NDArray[np.int64], gold: npt.NDArray[np.int64]) -> bool:
    """Tells whether every instance is given the same label although the gold labels differ.

    Args:
        predictions: Label ids, (instances,).
        gold: Label ids, (instances,).
    """
    return len(np.unique(predictions)) == 1 and len(np.unique(gold)) > 1


def loss_is_not_falling(losses: Sequence[float], *, least_fall: float = 0.01) -> bool:
    """Tells whether the training loss ends where it began.

    The means of the first and the last third are compared, so that noise of single steps does not count; a
    loss that is no number has not fallen. One or no loss tells nothing.

    Args:
        losses: In the order of training, at equal distances: per logged step or per epoch.
        least_fall: Share of its beginning by which the loss must fall: a classifier that has collapsed
            to one class stays within 1 % of the entropy of the labels.
    """
    if len(losses) < 2:
        return False
    third = max(len(losses) // 3, 1)
    begin, end = float(np.mean(losses[:third])), float(np.mean(losses[-third:]))
    # Written so that a NaN counts as not falling.
    return not end < begin - least_fall * abs(begin)
