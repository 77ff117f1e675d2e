"""BERT for `torch.hub.load`: the nine entry points of the first PyTorch Hub page of BERT.

    tokenizer = torch.hub.load("path/to/bertx", "bertTokenizer", "bert-base-cased", source="local")
    model = torch.hub.load("path/to/bertx", "bertModel", "bert-base-cased", source="local")
    hidden_states, pooled = model(tokens, segments)

A name is a folder, a preset (`bertx presets` lists them) or a name on the Hugging Face hub. Models are in
evaluation mode; they take `input_ids`, `token_type_ids`, `attention_mask` in this order and return tuples.
"""

from __future__ import annotations

from collections.abc import Sequence as _Sequence

from bertx.bert import torch_hub as _torch_hub
from bertx.bert.encoders import Encoders as _Encoders
from bertx.bert.tokenization.tokenizer import BertTokenizer as _BertTokenizer

dependencies = ["torch", "tokenizers", "safetensors", "numpy", "huggingface_hub"]


def bertTokenizer(
    name: str,
    do_lower_case: bool | None = None,
    do_basic_tokenize: bool = True,
    max_len: int | None = None,
    never_split: _Sequence[str] | None = None,
) -> _BertTokenizer:
    """Returns the tokenizer of a model.

    Args:
        name: Whose.
        do_lower_case: Whether to ignore case; None: as the model's files say.
        do_basic_tokenize: Whether to cut at punctuation before cutting words into pieces.
        max_len: The most tokens that the model reads; None: as the model's files say.
        never_split: Words that stay whole, beside the special tokens.
    """
    return _BertTokenizer.from_pretrained(
        _Encoders().folder(name),
        do_lower_case,
        do_basic_tokenize=do_basic_tokenize,
        never_split=never_split,
        model_max_length=max_len,
    )


def bertModel(name: str) -> _torch_hub.BertModel:
    """Returns the encoder: (last hidden states, pooled vectors) of a batch."""
    return _torch_hub.BertModel.from_pretrained(name)


def bertForMaskedLM(name: str) -> _torch_hub.BertForMaskedLM:
    """Returns the encoder with the head that predicts hidden word pieces."""
    return _torch_hub.BertForMaskedLM.from_pretrained(name)


def bertForNextSentencePrediction(name: str) -> _torch_hub.BertForNextSentencePrediction:
    """Returns the encoder with the head that predicts whether the second segment follows the first."""
    return _torch_hub.BertForNextSentencePrediction.from_pretrained(name)


def bertForPreTraining(name: str) -> _torch_hub.BertForPreTraining:
    """Returns the encoder with both heads that it was pretrained with."""
    return _torch_hub.BertForPreTraining.from_pretrained(name)


def bertForSequenceClassification(
    name: str, num_labels: int | None = None
) -> _torch_hub.BertForSequenceClassification:
    """Returns the encoder with a classifier of sequences, which is fresh unless the model has one.

    Args:
        name: Which model.
        num_labels: How many classes; None: as the model's files say.
    """
    return _torch_hub.BertForSequenceClassification.from_pretrained(name, num_labels=num_labels)


def bertForMultipleChoice(name: str, num_choices: int | None = None) -> _torch_hub.BertForMultipleChoice:
    """Returns the encoder with a head that chooses one of several sequences, fresh unless the model has one.

    Args:
        name: Which model.
        num_choices: Has no effect: the input says how many choices there are.
    """
    return _torch_hub.BertForMultipleChoice.from_pretrained(name)


def bertForTokenClassification(
    name: str, num_labels: int | None = None
) -> _torch_hub.BertForTokenClassification:
    """Returns the encoder with a classifier of tokens, which is fresh unless the model has one.

    Args:
        name: Which model.
        num_labels: How many classes; None: as the model's files say.
    """
    return _torch_hub.BertForTokenClassification.from_pretrained(name, num_labels=num_labels)


def bertForQuestionAnswering(name: str) -> _torch_hub.BertForQuestionAnswering:
    """Returns the encoder with a head that finds an answer, which is fresh unless the model has one."""
    return _torch_hub.BertForQuestionAnswering.from_pretrained(name)
