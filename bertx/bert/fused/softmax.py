"""Softmax over rows as short as most texts are, for which torch's own takes up to ten times as long."""

from __future__ import annotations

import torch
from torch import Tensor

SHORT = 32
"""From this length on torch's softmax is the faster one, and rows may keep the type of half precision."""


def softmax_(scores: Tensor) -> Tensor:
    """Returns the softmax over the last dimension, short rows in at least float32.

    Args:
        scores: float, (..., length); their memory may be used for the result. In each row one is finite.
    """
    if scores.shape[-1] >= SHORT:
        return scores.softmax(dim=-1)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    scores.sub_(scores.amax(dim=-1, keepdim=True)).exp_()
    return scores.div_(scores.sum(dim=-1, keepdim=True))


def softmax_backward_(gradient: Tensor, probabilities: Tensor) -> Tensor:
    """Returns the gradient by the scores, in the type of the probabilities.

    Args:
        gradient: float, (..., length), by the probabilities; its memory may be used for the result.
        probabilities: float, (..., length), what `softmax_` returned.
    """
    gradient = gradient.to(probabilities.dtype)
    if probabilities.shape[-1] >= SHORT:
        backward: Tensor = torch.ops.aten._softmax_backward_data(
            gradient, probabilities, -1, probabilities.dtype
        )
        return backward
    gradient.mul_(probabilities)
    return gradient.addcmul_(probabilities, gradient.sum(dim=-1, keepdim=True), value=-1)
