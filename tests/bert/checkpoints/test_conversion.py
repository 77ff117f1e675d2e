"""Any checkpoint becomes one of Hugging Face or KerasHub, with the same weights, head and tokenizer."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
import transformers

from bertx.bert.checkpoints.conversion import Checkpoint, read_checkpoint, write_checkpoint
from bertx.bert.checkpoints.huggingface import parameters_by_name
from bertx.bert.checkpoints.keras import read_keras_model
from bertx.errors import CheckpointError
from tests.bert.checkpoints.bundles import write
from tests.bert.reference import random_batch, randomized, reference_config

TENSORFLOW = "uncased_L-2_H-8_A-2"
HEADS = [
    "BertModel",
    "BertForPreTraining",
    "BertForMaskedLM",
    "BertLMHeadModel",
    "BertForNextSentencePrediction",
    "BertForSequenceClassification",
    "BertForMultipleChoice",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
]


def same(one: Checkpoint, other: Checkpoint) -> bool:
    ours, theirs = parameters_by_name(one.model), parameters_by_name(other.model)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("name", ["classifier", "sharded", "classifier.keras", TENSORFLOW])
def test_transformers_computes_with_a_converted_checkpoint_what_we_compute(golden, tmp_path, batch, name):
    checkpoint = read_checkpoint(golden / name)
    write_checkpoint(checkpoint, tmp_path, "hf")
    head = getattr(transformers, checkpoint.model.architecture)
    theirs = head.from_pretrained(tmp_path, attn_implementation="sdpa")(**batch)
    ours = checkpoint.model(**batch)
    for one, other in zip(ours.to_tuple(), theirs.to_tuple(), strict=True):
        assert (one - other).abs().max().item() <= 1e-6


@pytest.mark.parametrize("name", HEADS)
def test_every_head_of_transformers_is_recognized_and_written_bit_for_bit(tmp_path, name):
    model = randomized(getattr(transformers, name)(reference_config()))
    model.save_pretrained(tmp_path / "theirs")
    write_checkpoint(read_checkpoint(tmp_path / "theirs"), tmp_path / "ours", "hf")
    again = getattr(transformers, name).from_pretrained(tmp_path / "ours")
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


def test_transformers_computes_the_same_logits_with_what_is_rewritten(tmp_path):
    model = randomized(transformers.BertForSequenceClassification(reference_config(num_labels=5)))
    model.save_pretrained(tmp_path / "theirs")
    write_checkpoint(read_checkpoint(tmp_path / "theirs"), tmp_path / "ours", "hf")
    again = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "ours", attn_implementation="eager"
    )
    assert (again(**random_batch()).logits - model(**random_batch()).logits).abs().max().item() == 0.0


@pytest.mark.parametrize("name", ["classifier", "masked_lm", "classifier.keras"])
@pytest.mark.parametrize("target", ["preset", "model.keras"])
def test_keras_to_keras_keeps_everything(golden, tmp_path, name, target):
    source = read_checkpoint(golden / name)
    write_checkpoint(source, tmp_path / target, "keras")
    again = read_checkpoint(tmp_path / target)
    assert same(source, again)
    assert again.unexpected.keys() == source.unexpected.keys()
    assert again.tokenizer.get_vocab() == source.tokenizer.get_vocab()
    assert read_keras_model(tmp_path / target).task == read_keras_model(golden / name).task


def test_from_tensorflow_by_way_of_keras_nothing_but_next_sentence_is_lost(golden, tmp_path, caplog):
    source = read_checkpoint(golden / TENSORFLOW)
    with caplog.at_level(logging.WARNING, "bertx"):
        write_checkpoint(source, tmp_path / "preset", "keras")
    assert caplog.messages[-1] == (
        "left out, since keras has no place for it: cls.seq_relationship.bias, cls.seq_relationship.weight"
    )
    found = parameters_by_name(read_checkpoint(tmp_path / "preset").model)
    wanted = parameters_by_name(source.model)
    assert found.keys() == {name for name in wanted if not name.startswith(("cls.seq", "pooler."))}
    assert all(torch.equal(found[name], wanted[name]) for name in found)


def test_an_encoder_without_a_pooler_gets_a_new_one_for_keras(tmp_path, caplog):
    transformers.BertForMaskedLM(reference_config(hidden_act="gelu_new")).save_pretrained(tmp_path / "theirs")
    with caplog.at_level(logging.WARNING, "bertx"):
        write_checkpoint(read_checkpoint(tmp_path / "theirs"), tmp_path / "preset", "keras")
    assert (
        "the pooler is new: the checkpoint has none, and KerasHub's backbone always has one"
        in caplog.messages
    )
    assert sorted(read_checkpoint(tmp_path / "preset").unexpected) == [
        "pooler.dense.bias",
        "pooler.dense.weight",
    ]


def test_the_precision_of_the_weights_is_kept(tmp_path):
    randomized(transformers.BertModel(reference_config())).half().save_pretrained(tmp_path / "theirs")
    write_checkpoint(read_checkpoint(tmp_path / "theirs"), tmp_path / "ours", "hf")
    again = transformers.BertModel.from_pretrained(tmp_path / "ours", dtype="auto")
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float16}


def test_a_classifier_of_google_has_as_many_labels_as_rows(golden, tmp_path):
    values = {name: value for name, value in _values(golden).items() if not name.startswith("cls/")}
    values |= {"output_weights": _values(golden)["bert/pooler/dense/kernel"][:5]}
    values |= {"output_bias": values["bert/pooler/dense/bias"][:5]}
    write(tmp_path / "model.ckpt-7.index", values)
    (tmp_path / "bert_config.json").write_bytes((golden / TENSORFLOW / "bert_config.json").read_bytes())
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.model.architecture == "BertForSequenceClassification"
    assert checkpoint.model.config.num_labels == 5


def _values(golden: Path):
    import numpy as np

    stored = np.load(golden / TENSORFLOW / "values.npz")
    return {name: stored[name] for name in stored.files if "adam" not in name and name != "global_step"}


def test_a_missing_head_is_never_made_up(tmp_path):
    transformers.BertModel(reference_config()).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps(settings | {"architectures": ["BertForSequenceClassification"]})
    )
    with pytest.raises(CheckpointError, match=r"2 tensors are missing: classifier\.bias, classifier\.weight"):
        read_checkpoint(tmp_path)


def test_a_checkpoint_without_a_tokenizer_is_told(tmp_path, caplog):
    transformers.BertModel(reference_config()).save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING, "bertx"):
        assert read_checkpoint(tmp_path).tokenizer is None
    assert caplog.messages[0].startswith(f"written without a tokenizer: {tmp_path}: ")
