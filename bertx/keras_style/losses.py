"""Losses: what a classifier learns to lower."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-7  # keras.config.epsilon()


class SparseCategoricalCrossentropy:
    """The negative logarithm of the probability of the right class, averaged over the batch.

    Args:
        from_logits: Whether the model's outputs are logits. If not they are probabilities; they are made to
            sum to 1, and kept 1e-7 away from 0 and 1.
    """

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = from_logits

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Computes the loss of a batch.

        Args:
            y_true: int, (batch,); the right classes.
            y_pred: float, (batch, classes).
            sample_weight: float, (batch,); how much each row counts. The sum is divided by the number of
                rows, not by that of the weights.

        Returns:
            float, a scalar.
        """
        if self.from_logits:
            losses = F.cross_entropy(y_pred, y_true, reduction="none")  # (batch,)
        else:
            probabilities = y_pred / y_pred.sum(dim=-1, keepdim=True)
            losses = F.nll_loss(probabilities.clamp(EPSILON, 1 - EPSILON).log(), y_true, reduction="none")
        if sample_weight is not None:
            losses = losses * sample_weight
        return losses.mean()
