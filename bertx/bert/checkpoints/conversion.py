"""From one format to another: any checkpoint becomes a Hugging Face directory, or a preset of KerasHub."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from torch import Tensor, nn

from bertx.bert.checkpoints.formats import read_config, read_tensors, read_tokenizer
from bertx.bert.checkpoints.huggingface import (
    LoadReport,
    load_tensors,
    parameters_by_name,
    with_present_names,
)
from bertx.bert.checkpoints.keras import without_place, write_keras_archive, write_keras_preset
from bertx.bert.checkpoints.keras_objects import KerasModel, Task
from bertx.bert.config import BertConfig
from bertx.bert.heads import (
    BertForMaskedLM,
    BertForNextSentencePrediction,
    BertForPreTraining,
    LanguageHead,
)
from bertx.bert.initialization import WithoutInitialization, initialize
from bertx.bert.language_model import BertLMHeadModel
from bertx.bert.model import BertModel
from bertx.bert.pretrained import Pretrained
from bertx.bert.task_heads import (
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import CheckpointError

logger = logging.getLogger(__name__)

Target: TypeAlias = Literal["hf", "keras"]

HEADS: Mapping[str, type[Pretrained]] = {
    head.__name__: head
    for head in (
        BertModel,
        BertForPreTraining,
        BertForMaskedLM,
        BertLMHeadModel,
        BertForNextSentencePrediction,
        BertForSequenceClassification,
        BertForMultipleChoice,
        BertForTokenClassification,
        BertForQuestionAnswering,
    )
}
KERAS_TASKS: Mapping[type[Pretrained], Task] = {
    BertForSequenceClassification: "BertTextClassifier",
    BertForMaskedLM: "BertMaskedLM",
    BertForPreTraining: "BertMaskedLM",
}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read whole.

    Attributes:
        model: The encoder, with the head that the checkpoint has.
        tokenizer: None if the checkpoint has none.
        report: What became of the tensors.
        unexpected: The tensors that the model has no place for.
    """

    model: Pretrained
    tokenizer: BertTokenizer | None
    report: LoadReport
    unexpected: Mapping[str, Tensor]


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint in any of the known formats, with the head that it has, if that is known here.

    Raises:
        CheckpointError: Its files are damaged or incomplete, or describe no BERT.
        DataError: Its vocabulary is wrong.
    """
    file, tensors = read_tensors(path)
    tensors = with_present_names(file, tensors)
    config = read_config(path)
    head = _head(config, tensors)
    with WithoutInitialization():
        if head is BertModel:
            model: Pretrained = BertModel(config, add_pooling_layer="pooler.dense.weight" in tensors)
        else:
            model = head(_with_num_labels(config, tensors))
    model.to(next(iter(tensors.values())).dtype)
    report = load_tensors(model.eval(), file, tensors, may_be_new=())
    return Checkpoint(model, _tokenizer(path), report, {name: tensors[name] for name in report.unexpected})


def write_checkpoint(checkpoint: Checkpoint, target: Path, to: Target) -> None:
    """Writes a checkpoint.

    Args:
        checkpoint: What to write.
        target: A folder; for `keras` also a `.keras` file.
        to: `hf` for Hugging Face's directory, `keras` for KerasHub's preset.

    Raises:
        CheckpointError: The format has no place for such an encoder.
        DataError: A file cannot be written.
    """
    model = checkpoint.model
    if to == "hf":
        left_out = list(checkpoint.unexpected)
        if isinstance(model, LanguageHead) and model.config.prediction_head != "bert":
            logger.warning(
                "transformers computes the head with the encoder's activation and layer_norm_eps, KerasHub "
                "with gelu and 1e-5: its logits will differ from those of bertx and KerasHub"
            )
        model.save_pretrained(target, checkpoint.tokenizer)
    else:
        own = {name: parameter.detach() for name, parameter in parameters_by_name(model).items()}
        tensors = _with_pooler(model.config, {**checkpoint.unexpected, **own})
        length = model.config.max_position_embeddings
        described = KerasModel(model.config, KERAS_TASKS.get(type(model)), sequence_length=length)
        left_out = without_place(described, tensors)
        write = write_keras_archive if target.suffix == ".keras" else write_keras_preset
        write(target, described, tensors, checkpoint.tokenizer)
    if left_out:
        logger.warning("left out, since %s has no place for it: %s", to, ", ".join(left_out))


def _with_pooler(config: BertConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if "pooler.dense.weight" in tensors:
        return dict(tensors)
    logger.warning("the pooler is new: the checkpoint has none, and KerasHub's backbone always has one")
    pooler = nn.Linear(config.hidden_size, config.hidden_size)
    initialize(pooler, config)
    return {
        **tensors,
        "pooler.dense.weight": pooler.weight.detach(),
        "pooler.dense.bias": pooler.bias.detach(),
    }


def _head(config: BertConfig, tensors: Mapping[str, Tensor]) -> type[Pretrained]:
    """Finds the class that has all tensors: the one that config.json names, or the one they tell."""
    named = config.extra.get("architectures")
    if isinstance(named, list) and len(named) == 1 and named[0] in HEADS:
        return HEADS[named[0]]
    owners = {name.rpartition(".")[0] for name in tensors}
    if "classifier" in owners:
        return BertForSequenceClassification
    if "qa_outputs" in owners:
        return BertForQuestionAnswering
    if "cls.predictions.transform.dense" in owners:
        return BertForPreTraining if "cls.seq_relationship" in owners else BertForMaskedLM
    return BertForNextSentencePrediction if "cls.seq_relationship" in owners else BertModel


def _with_num_labels(config: BertConfig, tensors: Mapping[str, Tensor]) -> BertConfig:
    """Gives a config that says nothing about labels as many as the classifier has."""
    bias = tensors.get("classifier.bias")
    says_nothing = config == BertConfig.from_dict(
        {key: value for key, value in config.to_dict().items() if key not in ("id2label", "label2id")}
    )
    return config.updated({"num_labels": len(bias)}) if says_nothing and bias is not None else config


def _tokenizer(path: Path) -> BertTokenizer | None:
    try:
        return read_tokenizer(path)
    except CheckpointError as error:
        logger.warning("written without a tokenizer: %s", error)
        return None
