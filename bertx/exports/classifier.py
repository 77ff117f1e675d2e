"""What is exported of a run: its classifier, with labels and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from bertx.atomic import write_json
from bertx.bert.config import BertConfig
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer
from bertx.errors import UsageError
from bertx.models.bert_for_classification import BertForClassification
from bertx.runs.run import Run


class Classifier(nn.Module):
    """A run's classifier as a function of three tensors.

    Args:
        model: The run's model.
        tokenizer: Makes its ids.

    Attributes:
        config: The encoder's config, with the labels.
    """

    def __init__(self, model: BertForClassification, tokenizer: BertTokenizer) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.config = labelled(model)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Returns logits, float (batch, labels), for int64 (batch, tokens); the mask is 1 at real tokens."""
        ids = {
            "input_ids": input_ids,
            "attention_mask": attention_mask.bool(),
            "token_type_ids": token_type_ids,
        }
        output: dict[str, Tensor] = self.model({self.model.index: ids})
        return output["logits"]

    def predict(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns the logits of a batch of `Rows`."""
        logits: Tensor = self(**batch)
        return logits

    @property
    def max_tokens(self) -> int:
        """The longest sequence that the encoder takes."""
        return self.config.max_position_embeddings

    def write_surroundings(self, folder: Path) -> None:
        """Writes tokenizer files, and the config.json that holds the labels."""
        self.tokenizer.save_pretrained(folder)
        settings = self.config.to_dict() | {"architectures": ["BertForSequenceClassification"]}
        write_json(folder / "config.json", settings)


def classifier_of(run: Run) -> Classifier:
    """Takes the classifier out of a run.

    Raises:
        UsageError: The run has none.
    """
    if not isinstance(run.model, BertForClassification):
        raise UsageError(
            f'the model of this run is "{run.experiment.model.label}", which is no classifier of texts; '
            'bertx export takes runs of "bert_for_classification"'
        )
    indexer = run.reader.token_indexers[run.model.index]
    longest = run.model.encoder_config.max_position_embeddings
    # What calls the tokenizer with truncation=True then cuts texts where the run does.
    cut_at = indexer.max_pieces if isinstance(indexer, BertPretrainedIndexer) else longest
    indexer.tokenizer.model_max_length = min(cut_at, longest)
    return Classifier(run.model, indexer.tokenizer)


def labelled(model: BertForClassification) -> BertConfig:
    """Returns the encoder's config with the labels of the model."""
    return model.encoder_config.updated(
        {
            "num_labels": len(model.labels),
            "id2label": dict(enumerate(model.labels)),
            "label2id": {label: number for number, label in enumerate(model.labels)},
            "problem_type": "single_label_classification",
            "classifier_dropout": model.dropout.p,
        }
    )
