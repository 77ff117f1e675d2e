"""Classification of texts and pairs of texts: BERT's pooled output and a linear layer.

Source: Devlin et al. 2019, section 4.1; names and arguments are those of AllenNLP 0.9.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn

from bertx.bert.config import BertConfig
from bertx.bert.encoders import Encoders
from bertx.bert.initialization import initialize
from bertx.bert.lora import Lora, add_lora
from bertx.bert.model import BertModel
from bertx.config.registrable import FromPython, Lazy, Runtime
from bertx.data.instance import JSON
from bertx.data.label_counts import Counts
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError
from bertx.metrics.categorical_accuracy import CategoricalAccuracy
from bertx.metrics.metric import Metric, Statistic
from bertx.models.initializers.applicator import Initialization, initialize_by
from bertx.models.losses.classification_loss import Classes, ClassificationLoss
from bertx.models.losses.cross_entropy import CrossEntropy
from bertx.models.model import Model, Output
from bertx.models.regularizers import Regularization


@Model.register("bert_for_classification")
class BertForClassification(Model):
    """Runs a pretrained BERT and puts a linear layer on its pooled output.

    Args:
        vocab: Numbers the labels.
        bert_model: A folder or hub name of a pretrained BERT, or an object that describes a fresh one; from
            Python also a BERT that is built already, with its pooler.
        dropout: The dropout probability on the pooled output.
        num_labels: The number of classes; None or 0: as many as the vocabulary has in `label_namespace`. A
            class beyond those is called by its number.
        index: The name of the token indexer whose ids are read.
        label_namespace: The namespace of the labels.
        trainable: Whether BERT's weights are trained; if not, only the linear layer is. BERT's own dropout
            stays active in training either way.
        lora: Train small matrices beside BERT's, which are frozen, and not BERT's own; None: no.
        initializer: Initialises the linear layer only; its parameters are `weight` and `bias`.
        regularizer: The penalty that training adds to the loss.
        metrics: Metrics counted beside `accuracy`, by the name that their values are reported under.
        loss: What is made small; None: the cross-entropy of all labels alike.
        label_counts: How often each label occurs in the training data, for class weights; None: unknown.
        encoders: Finds the encoder; None: a new one that searches the working directory and the hub.

    Raises:
        ConfigError: The vocabulary has no labels, or more than `num_labels`; the dropout is no probability;
            two metrics have one name; `lora` names no layer of BERT, or `trainable` is False beside it.
        ValueError: `bert_model` was built without a pooler.
    """

    def __init__(
        self,
        vocab: Runtime[Vocabulary],
        bert_model: str | BertConfig | FromPython[BertModel],
        *,
        dropout: float = 0.0,
        num_labels: int | None = None,
        index: str = "bert",
        label_namespace: str = "labels",
        trainable: bool = True,
        initializer: Initialization | None = None,
        regularizer: Regularization | None = None,
        metrics: dict[str, Metric] | None = None,
        lora: Lora | None = None,
        loss: Lazy[ClassificationLoss] | None = None,
        label_counts: Runtime[Counts | None] = None,
        encoders: Runtime[Encoders | None] = None,
    ) -> None:
        if not 0 <= dropout < 1:
            raise ConfigError(f"model.dropout: {dropout}; expected at least 0 and less than 1")
        super().__init__(regularizer)
        self.labels = class_names(vocab, label_namespace, num_labels)
        self.index = index
        self.bert = _built(bert_model, encoders or Encoders())
        if not trainable:  # else what a built encoder has frozen of itself stays so
            self.bert.requires_grad_(False)
        if lora is not None:
            if not trainable:
                raise ConfigError("model.trainable: false leaves nothing for model.lora to train; drop one")
            add_lora(self.bert, lora)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.bert.config.hidden_size, len(self.labels))
        initialize(self.classifier, self.bert.config)
        initialize_by(initializer, self.classifier)
        classes = Classes(
            self.labels, None if label_counts is None else label_counts.get(label_namespace, {})
        )
        self.loss = CrossEntropy(classes) if loss is None else loss.build(classes=classes)
        self.accuracy = CategoricalAccuracy()
        self.metrics = metrics or {}
        _check_names(self.metrics)

    def forward(self, tokens: dict[str, dict[str, Tensor]], label: Tensor | None = None) -> Output:
        """Classifies a batch.

        Args:
            tokens: Under the name of the token indexer: `input_ids` int, `attention_mask` bool and
                `token_type_ids` int, each (batch, tokens).
            label: int, (batch,); -100 marks a label that the vocabulary does not know: it counts as wrong and
                has no share in the loss. None: there is no loss, and nothing is counted.

        Returns:
            `logits` and `probs`, float, (batch, num_labels). If there are labels `loss`, a scalar: the mean
            over known ones, 0 if none is known; and `num_targets`, a scalar: how many these are, or the sum
            of their class weights.
        """
        pooled = self.bert(**tokens[self.index], only_first=True).pooled  # (batch, hidden)
        logits = in_float32(self.classifier(self.dropout(pooled)))  # (batch, num_labels)
        output = {"logits": logits, "probs": logits.softmax(dim=-1)}
        if label is not None:
            label = label.long()
            output["loss"], output["num_targets"] = self.loss(logits, label)
            self._count(logits.detach(), label)
        return output

    def _count(self, logits: Tensor, label: Tensor) -> None:
        self.accuracy(logits, label)
        for metric in self.metrics.values():
            metric(logits, label)

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """Returns `accuracy`, and each configured metric by its name (`macro_fscore` if it has several)."""
        values = self.accuracy.get_metric(reset)
        for name, metric in self.metrics.items():
            values |= _reported(name, metric.get_metric(reset))
        return values

    @property
    def statistics(self) -> list[Statistic]:
        """What `get_metrics` reports."""
        return [self.accuracy, *self.metrics.values()]

    def decode(self, output: Output) -> dict[str, Tensor | list[JSON]]:
        """Adds `label`, the string of the most probable class of each row."""
        best = output["probs"].argmax(dim=-1).tolist()
        return {"label": [self.labels[index] for index in best], "probs": output["probs"], **output}

    @property
    def encoder_configs(self) -> dict[str, BertConfig]:
        """The sizes of the encoder, by the token indexer that it reads."""
        return {self.index: self.bert.config}

    @property
    def looked_up(self) -> dict[str, nn.Embedding]:
        """BERT's word embedding."""
        return {self.index: self.bert.embeddings.word}

    @property
    def adapted(self) -> nn.Module:
        """BERT and the linear layer."""
        return nn.ModuleDict({"bert": self.bert, "classifier": self.classifier})


def in_float32(numbers: Tensor) -> Tensor:
    """Widens half precision, in which sums and exponentials lose too much; doubles stay doubles."""
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32))


def class_names(vocab: Vocabulary, label_namespace: str, num_labels: int | None) -> list[str]:
    """Returns the string of each class; a class without one is called by its number, as in AllenNLP.

    Raises:
        ConfigError: There are no labels and no number of classes, or more labels than classes.
    """
    if not num_labels:
        return vocab.labels(label_namespace)
    if num_labels < 0:
        raise ConfigError(f"model.num_labels: {num_labels}; expected at least 1, or null for one per label")
    labels = list(vocab.get_token_to_index_vocabulary(label_namespace))
    if len(labels) > num_labels:
        raise ConfigError(
            f"model.num_labels: {num_labels} classes, but the data have {len(labels)} labels "
            f"({', '.join(labels[:10])}{', ...' if len(labels) > 10 else ''}); leave num_labels out to have "
            "one class for each"
        )
    return labels + [str(number) for number in range(len(labels), num_labels)]


def _built(bert_model: str | BertConfig | BertModel, encoders: Encoders) -> BertModel:
    if not isinstance(bert_model, BertModel):
        return encoders.model(bert_model)
    if bert_model.pooler is None:
        raise ValueError("bert_model has no pooler to classify by; build it with add_pooling_layer=True")
    return bert_model


def _reported(name: str, values: dict[str, float]) -> dict[str, float]:
    """Names the values of a configured metric; only several need names of their own."""
    return {name if len(values) == 1 else f"{name}_{key}": value for key, value in values.items()}


def _check_names(metrics: dict[str, Metric]) -> None:
    names = Counter(["loss", "accuracy"])
    for name, metric in metrics.items():
        names.update(list(_reported(name, metric.get_metric())))
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ConfigError(
            f'model.metrics: two values would be reported as "{twice[0]}"; rename one '
            "(loss and accuracy are always there)"
        )
