"""Models small enough for a test, with random weights."""

from __future__ import annotations

import torch
from torch import Tensor

from bertx.bert.config import BertConfig
from bertx.data.vocabulary import Vocabulary
from bertx.models.bert_for_classification import BertForClassification
from tests.bert.reference import randomized

SIZES = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 16,
}
CONFIG = BertConfig(**SIZES)


def vocabulary(*labels: str) -> Vocabulary:
    return Vocabulary.from_instances({"labels": dict.fromkeys(labels, 1)})


def classifier(*labels: str) -> BertForClassification:
    """A model in evaluation mode, every parameter random."""
    model = BertForClassification(vocabulary(*(labels or ("bad", "good", "odd"))), CONFIG)
    randomized(model)
    return model


def under(index: str, batch: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    return {index: batch}


def part(batch: dict[str, Tensor], rows: slice, tokens: int | None = None) -> dict[str, Tensor]:
    """Some rows of a batch, cut to a number of tokens."""
    return {name: tensor[rows, :tokens] for name, tensor in batch.items()}


def padded(batch: dict[str, Tensor], more: int) -> dict[str, Tensor]:
    """A batch with more padding: id 0, segment 0, mask False."""
    return {
        name: torch.cat([tensor, torch.zeros(len(tensor), more, dtype=tensor.dtype)], dim=1)
        for name, tensor in batch.items()
    }
