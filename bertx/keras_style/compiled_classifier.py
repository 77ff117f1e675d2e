"""The classifier of configs with the loss and the metrics that `compile` chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from bertx.bert.model import BertModel
from bertx.data.vocabulary import Vocabulary
from bertx.keras_style.losses import SparseCategoricalCrossentropy
from bertx.metrics.metric import Metric, Statistic
from bertx.models.bert_for_classification import BertForClassification
from bertx.models.model import Output

Activation = Callable[[Tensor], Tensor]


def linear(logits: Tensor) -> Tensor:
    """Returns the logits."""
    return logits


def softmax(logits: Tensor) -> Tensor:
    """Returns probabilities that sum to 1."""
    return F.softmax(logits, dim=-1)


ACTIVATIONS: dict[str, Activation] = {
    "linear": linear,
    "softmax": softmax,
    "sigmoid": torch.sigmoid,
    "relu": F.relu,
    "tanh": torch.tanh,
}


class CompiledClassifier(BertForClassification):
    """Puts an activation on the logits, and counts loss and metrics on what comes out.

    Args:
        encoder: BERT with its pooler.
        num_classes: The number of classes.
        dropout: The dropout probability on the pooled output.
        activation: What is put on the logits.
    """

    def __init__(self, encoder: BertModel, num_classes: int, dropout: float, activation: Activation) -> None:
        super().__init__(Vocabulary(), encoder, dropout=dropout, num_labels=num_classes)
        self.activation = activation
        self.compiled_loss = SparseCategoricalCrossentropy()
        self.counted: Sequence[Metric] = ()

    def forward(
        self,
        tokens: dict[str, dict[str, Tensor]],
        label: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> Output:
        """Classifies a batch; see `BertForClassification`.

        Returns:
            Also `outputs`, float (batch, classes): the logits after the activation.
        """
        output = super().forward(tokens)
        outputs = self.activation(output["logits"])  # (batch, classes)
        output["outputs"] = outputs
        if label is not None:
            output["loss"] = self.compiled_loss(label, outputs, sample_weight)
            for metric in self.counted:
                metric(outputs.detach(), label)
        return output

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """Returns the values of the compiled metrics by their names."""
        values: dict[str, float] = {}
        for metric in self.counted:
            values |= metric.get_metric(reset)
        return values

    @property
    def statistics(self) -> list[Statistic]:
        """What `get_metrics` reports."""
        return list(self.counted)
