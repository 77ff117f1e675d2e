"""The focal loss: a cross-entropy that cares less for what is right already."""

from __future__ import annotations

import torch
from torch import Tensor

from bertx.config.registrable import Runtime
from bertx.data.encoded import UNSEEN_LABEL
from bertx.errors import ConfigError
from bertx.models.losses.classification_loss import (
    Classes,
    ClassificationLoss,
    ClassWeights,
    Reduction,
)


@ClassificationLoss.register("focal")
class Focal(ClassificationLoss):
    """Multiplies the cross-entropy of an instance by (1 - p)^gamma, where p is its label's probability.

    Source: Lin et al. 2017 (Focal Loss for Dense Object Detection), equation 5, of which the class weights
    are the alpha.

    Args:
        classes: The classes.
        gamma: How much less what is right counts; 0: the cross-entropy.
        class_weights: A list in the order of the vocabulary, an object of weights by label (1 for those
            left out), or `balanced`: n / (classes * count) of the training data; None: all 1.
        reduction: What the sum of weighted losses is divided by: `weighted_mean` by the sum of the weights,
            as torch does; `mean` by the number of labels, as ParlAI does.

    Raises:
        ConfigError: `gamma` is below 0, or the weights do not fit the labels.
    """

    def __init__(
        self,
        classes: Runtime[Classes],
        *,
        gamma: float = 2.0,
        class_weights: ClassWeights | None = None,
        reduction: Reduction = "weighted_mean",
    ) -> None:
        if gamma < 0:
            raise ConfigError(f"model.loss.gamma: {gamma:g}; expected at least 0, such as 2")
        super().__init__(classes, class_weights, reduction)
        self.gamma = gamma

    def summed(self, logits: Tensor, label: Tensor, weights: Tensor | None) -> Tensor:
        """Returns the sum over known labels, a scalar."""
        known = label != UNSEEN_LABEL
        row_label = label.where(known, 0)
        log_p = logits.log_softmax(dim=-1).gather(1, row_label[:, None]).squeeze(1)  # (batch,)
        # Not quite 0, where the power has no finite gradient for a gamma below 1.
        missing = (-log_p.expm1()).clamp(min=torch.finfo(logits.dtype).eps)
        losses = -(missing**self.gamma) * log_p * known
        return (losses if weights is None else losses * weights[row_label]).sum()
