"""The cross-entropy, with class weights and label smoothing."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from bertx.config.registrable import Runtime
from bertx.data.encoded import UNSEEN_LABEL
from bertx.errors import ConfigError
from bertx.models.losses.classification_loss import (
    Classes,
    ClassificationLoss,
    ClassWeights,
    Reduction,
)


@ClassificationLoss.register("cross_entropy")
class CrossEntropy(ClassificationLoss):
    """Takes the negative logarithm of the label's probability.

    Source: `torch.nn.functional.cross_entropy`; label smoothing as in Szegedy et al. 2016, section 7, where
    a class weight also counts in the share of its class.

    Args:
        classes: The classes.
        class_weights: A list in the order of the vocabulary, an object of weights by label (1 for those
            left out), or `balanced`: n / (classes * count) of the training data; None: all 1.
        label_smoothing: The part of each label that is spread over all classes.
        reduction: What the sum of weighted losses is divided by: `weighted_mean` by the sum of the weights,
            as torch does; `mean` by the number of labels, as ParlAI does.

    Raises:
        ConfigError: The smoothing is no part, or the weights do not fit the labels.
    """

    def __init__(
        self,
        classes: Runtime[Classes],
        *,
        class_weights: ClassWeights | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "weighted_mean",
    ) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ConfigError(f"model.loss.label_smoothing: {label_smoothing}; expected 0 to 1, such as 0.1")
        super().__init__(classes, class_weights, reduction)
        self.label_smoothing = label_smoothing

    def summed(self, logits: Tensor, label: Tensor, weights: Tensor | None) -> Tensor:
        """Returns the sum over known labels, a scalar."""
        return F.cross_entropy(
            logits,
            label,
            weights,
            ignore_index=UNSEEN_LABEL,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
