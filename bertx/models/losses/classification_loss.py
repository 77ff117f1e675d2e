"""The family of losses of classifiers, and the weights of classes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from bertx.config.registrable import Registrable
from bertx.config.suggestions import did_you_mean
from bertx.data.encoded import UNSEEN_LABEL
from bertx.errors import ConfigError

ClassWeights: TypeAlias = list[float] | dict[str, float] | Literal["balanced"]
Reduction: TypeAlias = Literal["weighted_mean", "mean"]


@dataclass(frozen=True)
class Classes:
    """What a loss has to know of the classes.

    Attributes:
        labels: The string of each class.
        counts: How often each label occurs in the training data; None: unknown, as in a run that is opened.
    """

    labels: Sequence[str]
    counts: Mapping[str, int] | None = None


class ClassificationLoss(nn.Module, Registrable):
    """Measures how far logits are from labels, as a mean over the known labels of a batch.

    Args:
        classes: The classes.
        class_weights: The weight of each class: in the order of the vocabulary, or by label (those left out
            weigh 1). `balanced`: n / (classes * count), of the classes that occur in the training data, as
            in scikit-learn's `compute_class_weight`; these weights are saved with the model. None: all 1.
        reduction: What the sum of weighted losses is divided by: `weighted_mean` by the sum of the weights,
            as torch does, `mean` by the number of known labels, as ParlAI does.

    Raises:
        ConfigError: The weights do not fit the labels, are below 0 or not finite, or all 0.
    """

    default_implementation = "cross_entropy"

    def __init__(self, classes: Classes, class_weights: ClassWeights | None, reduction: Reduction) -> None:
        super().__init__()
        self.reduction = reduction
        self.fixed = None if class_weights == "balanced" else _fixed_weights(classes.labels, class_weights)
        balanced = balanced_weights(classes) if class_weights == "balanced" else None
        self.register_buffer("balanced", balanced)

    def forward(self, logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the loss, and over how much it is a mean.

        Args:
            logits: float, (batch, num_labels).
            label: int64, (batch,); -100 for an unknown one, which has no share.

        Returns:
            The mean, 0 if no label is known; and what it is divided by: the number of known labels or the
            sum of their weights, so that means of several batches can be put together.
        """
        weights = self._weights(logits)
        known = label != UNSEEN_LABEL
        total = known.sum()
        if weights is not None and self.reduction == "weighted_mean":
            total = (weights[label.where(known, 0)] * known).sum()
        return self.summed(logits, label, weights) / total.where(total > 0, 1), total

    @abstractmethod
    def summed(self, logits: Tensor, label: Tensor, weights: Tensor | None) -> Tensor:
        """Returns the sum of weighted losses over known labels, a scalar; see `forward`.

        Args:
            logits: float, (batch, num_labels).
            label: int64, (batch,).
            weights: float, (num_labels,); None: all 1.
        """

    def _weights(self, logits: Tensor) -> Tensor | None:
        if self.fixed is not None:
            return logits.new_tensor(self.fixed)
        balanced = self.get_buffer("balanced")
        return None if balanced is None else balanced.to(logits.dtype)


def balanced_weights(classes: Classes) -> Tensor:
    """Weighs classes so that each that occurs in the training data has an equal share in the loss.

    Without counts the weights are NaN until those of a saved model are read in their place.

    Returns:
        float32, (num_labels,): n / (classes that occur * count); 1 for a class that does not occur.
    """
    if classes.counts is None:
        return torch.full((len(classes.labels),), math.nan)
    counts = [classes.counts.get(label, 0) for label in classes.labels]
    occurring = sum(count > 0 for count in counts)
    return torch.tensor([sum(counts) / (occurring * count) if count else 1.0 for count in counts])


def _fixed_weights(
    labels: Sequence[str], class_weights: list[float] | dict[str, float] | None
) -> list[float] | None:
    if class_weights is None:
        return None
    if isinstance(class_weights, dict):
        for label in class_weights:
            if label not in labels:
                raise ConfigError(
                    f'model.loss.class_weights: no label is called "{label}"{did_you_mean(label, labels)} '
                    f"(labels: {', '.join(labels)})"
                )
        class_weights = [class_weights.get(label, 1.0) for label in labels]
    if len(class_weights) != len(labels):
        raise ConfigError(
            f"model.loss.class_weights: {len(class_weights)} weights, but there are {len(labels)} labels "
            f"({', '.join(labels)}); give one for each, in this order, or an object of weights by label"
        )
    if not all(0 <= weight < math.inf for weight in class_weights) or not any(class_weights):
        raise ConfigError(
            f"model.loss.class_weights: {', '.join(f'{weight:g}' for weight in class_weights)}; expected "
            "finite numbers of at least 0, one of them above"
        )
    return class_weights
