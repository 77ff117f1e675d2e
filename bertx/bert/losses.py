"""What the heads learn from: the losses of Hugging Face, in all their corners.

Labels of -100 are left out of every cross entropy; where all of them are, the loss is NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bertx.bert.config import ProblemType

IGNORED = -100


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean cross entropy of float (..., classes) and int (...)."""
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)


def next_token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the cross entropy of each token's logits, (batch, tokens, vocab), and the label after it.

    Labels, int (batch, tokens), stand where the tokens do; the last token has none to predict. It is computed
    in float32.
    """
    following = F.pad(labels, (0, 1), value=IGNORED)[:, 1:]
    return class_loss(logits.float(), following)


def guessed_problem(labels: Tensor, num_labels: int) -> ProblemType:
    """Guesses what the labels of a classifier are, where its config does not say."""
    if num_labels == 1:
        return "regression"
    if labels.dtype in (torch.long, torch.int):
        return "single_label_classification"
    return "multi_label_classification"


def sequence_loss(logits: Tensor, labels: Tensor, problem: ProblemType) -> Tensor:
    """Returns the loss of a classifier of sequences, whose logits are (batch, num_labels).

    Args:
        logits: float, (batch, num_labels).
        labels: For one label of several: int, (batch,). Otherwise numbers, 0 or 1 for several labels at
            once: (batch, num_labels), or (batch,) if there is one.
        problem: What the labels are.

    Raises:
        ValueError: The labels have another shape.
    """
    if problem == "single_label_classification":
        return class_loss(logits, labels.view(-1))
    if labels.numel() != logits.numel():
        raise ValueError(f"labels have the shape {tuple(labels.shape)}; expected {tuple(logits.shape)}")
    labels = labels.view_as(logits).to(logits.dtype)
    if problem == "regression":
        return F.mse_loss(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels)


def span_loss(start_logits: Tensor, end_logits: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Returns the mean of the cross entropies of both ends of a span.

    Args:
        start_logits: float, (batch, tokens).
        end_logits: float, (batch, tokens).
        start: int, (batch,) or (batch, 1); where the span starts. One before the text counts as its first
            token, one behind it is left out.
        end: int, (batch,) or (batch, 1); its last token, likewise.
    """
    tokens = start_logits.shape[1]
    places = torch.stack([start.view(-1), end.view(-1)]).clamp(0, tokens)  # (2, batch)
    start_loss = F.cross_entropy(start_logits, places[0], ignore_index=tokens)
    end_loss = F.cross_entropy(end_logits, places[1], ignore_index=tokens)
    return (start_loss + end_loss) / 2
