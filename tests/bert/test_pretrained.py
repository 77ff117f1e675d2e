"""Every head in files: what transformers writes we read, and the other way round."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
import transformers

import bertx.bert
from bertx.bert.checkpoints.huggingface import load_tensors, parameters_by_name
from bertx.bert.config import BertConfig
from bertx.bert.heads import BertForMaskedLM, BertForPreTraining
from bertx.bert.model import BertModel
from bertx.bert.task_heads import BertForSequenceClassification, BertForTokenClassification
from bertx.errors import CheckpointError, ConfigError
from tests.bert.both_heads import HEADS, Random, differences, random_inputs
from tests.bert.reference import SIZES, randomized, reference_config

CONFIG = BertConfig(**SIZES)


def inputs_of(head: str, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return random_inputs(head, model.config, Random(1))


def extras(head: str) -> dict[str, object]:
    """Settings that change what a head's files hold."""
    if head == "BertLMHeadModel":
        return {"is_decoder": True, "add_cross_attention": True}
    return {"num_labels": 3} if "Classification" in head else {}


@pytest.mark.parametrize("head", HEADS)
def test_a_folder_of_transformers_gives_the_same_outputs(tmp_path, head):
    reference = randomized(getattr(transformers, head)(reference_config(**extras(head))))
    reference.save_pretrained(tmp_path)
    ours = getattr(bertx.bert, head).from_pretrained(tmp_path)
    assert (ours.load_report.new, ours.load_report.unexpected, ours.training) == ((), (), False)
    inputs = inputs_of(head, ours) | ({"use_cache": False} if ours.config.is_decoder else {})
    assert differences(reference(**inputs), ours(**inputs)) < 1e-5


@pytest.mark.parametrize("head", HEADS)
def test_transformers_reads_our_folder_with_difference_zero(tmp_path, head):
    reference = randomized(getattr(transformers, head)(reference_config(**extras(head))))
    reference.save_pretrained(tmp_path / "theirs")
    getattr(bertx.bert, head).from_pretrained(tmp_path / "theirs").save_pretrained(tmp_path / "ours")
    again, loading = getattr(transformers, head).from_pretrained(
        tmp_path / "ours", attn_implementation="eager", output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    inputs = inputs_of(head, bertx.bert.BertModel(CONFIG.updated(extras(head))))
    inputs |= {"use_cache": False} if again.config.is_decoder else {}
    assert differences(reference(**inputs), again(**inputs)) == 0.0
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["architectures"] == [head]


@pytest.mark.parametrize("head", HEADS)
def test_what_we_write_we_read(tmp_path, head):
    saved = randomized(getattr(bertx.bert, head)(CONFIG.updated(extras(head))))
    saved.save_pretrained(tmp_path)
    again = getattr(bertx.bert, head).from_pretrained(tmp_path)
    assert again.config == saved.config
    for (name, one), (_, other) in zip(saved.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_an_output_layer_of_its_own_goes_both_ways(tmp_path, bias):
    reference = randomized(transformers.BertForMaskedLM(reference_config(tie_word_embeddings=False)))
    reference.cls.predictions.bias.data += bias  # transformers computes with that of the decoder
    reference.save_pretrained(tmp_path / "theirs")
    ours = BertForMaskedLM.from_pretrained(tmp_path / "theirs")
    inputs = inputs_of("BertForMaskedLM", ours)
    wanted = reference(**inputs)
    assert ours.head.decoder.weight is not ours.bert.embeddings.word.weight
    assert differences(wanted, ours(**inputs)) < 1e-5
    ours.save_pretrained(tmp_path / "ours")
    again = transformers.BertForMaskedLM.from_pretrained(tmp_path / "ours", attn_implementation="eager")
    assert differences(wanted, again(**inputs)) == 0.0


def test_a_tied_output_layer_stays_tied(tmp_path):
    BertForMaskedLM(CONFIG).save_pretrained(tmp_path)
    again = BertForMaskedLM.from_pretrained(tmp_path)
    assert again.head.decoder.weight is again.bert.embeddings.word.weight


def test_an_encoder_gets_a_new_classifier(tmp_path, caplog):
    randomized(BertModel(CONFIG)).save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING, "bertx"):
        model = BertForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
    assert model.load_report.new == ("classifier.bias", "classifier.weight")
    assert caplog.messages == [f"{tmp_path}: loaded 39/41 tensors; new: classifier.bias, classifier.weight"]
    assert model.classifier.weight.shape == (3, 24)
    assert 0.01 < model.classifier.weight.std() < 0.03
    assert model.classifier.bias.tolist() == [0.0] * 3


def test_pretraining_heads_are_not_used_by_a_classifier(tmp_path):
    randomized(BertForPreTraining(CONFIG)).save_pretrained(tmp_path)
    report = BertForSequenceClassification.from_pretrained(tmp_path).load_report
    assert [name for name in report.unexpected if not name.startswith("cls.")] == []
    assert len(report.unexpected) == 7
    assert report.new == ("classifier.bias", "classifier.weight")


def test_an_encoder_may_be_read_from_any_head(tmp_path):
    saved = randomized(BertForSequenceClassification(CONFIG))
    saved.save_pretrained(tmp_path)
    model = BertModel.from_pretrained(tmp_path)
    assert torch.equal(model(torch.tensor([[5, 6]])).pooled, saved.bert(torch.tensor([[5, 6]])).pooled)


def test_another_number_of_labels_is_an_error_unless_it_is_to_be_ignored(tmp_path):
    randomized(BertForTokenClassification(CONFIG)).save_pretrained(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"2 tensors are of the wrong shape, e\.g\. classifier\.bias is \(2,\)"
    ):
        BertForTokenClassification.from_pretrained(tmp_path, num_labels=5)
    model = BertForTokenClassification.from_pretrained(tmp_path, num_labels=5, ignore_mismatched_sizes=True)
    assert model.load_report.misshapen == ("classifier.bias", "classifier.weight")
    assert "new, since of another shape: classifier.bias" in model.load_report.summary()
    assert (model.classifier.weight.std() < 0.03, model.classifier.bias.tolist()) == (True, [0.0] * 5)


def test_labels_have_the_names_that_they_are_given(tmp_path):
    BertModel(CONFIG).save_pretrained(tmp_path)
    names = {0: "no", 1: "maybe", 2: "yes"}
    model = BertForSequenceClassification.from_pretrained(tmp_path, id2label=names)
    model.save_pretrained(tmp_path / "named")
    theirs = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "named")
    assert theirs.config.id2label == model.config.id2label == names
    assert theirs.config.label2id == {"no": 0, "maybe": 1, "yes": 2}


def test_the_problem_that_labels_told_is_written(tmp_path):
    model = BertForSequenceClassification(CONFIG)
    model(torch.tensor([[5]]), labels=torch.tensor([1]))
    model.save_pretrained(tmp_path)
    again = BertForSequenceClassification.from_pretrained(tmp_path)
    assert again.config.problem_type == "single_label_classification"


def test_a_config_may_take_the_place_of_the_files_own(tmp_path):
    saved = randomized(BertModel(CONFIG))
    saved.save_pretrained(tmp_path)
    model = BertModel.from_pretrained(tmp_path, config=CONFIG.updated({"hidden_act": "relu"}))
    assert model.config.hidden_act == "relu"
    assert not torch.equal(model(torch.tensor([[5, 6]])).pooled, saved(torch.tensor([[5, 6]])).pooled)


def test_dropout_is_off_after_loading_and_weights_can_learn(tmp_path):
    BertModel(CONFIG).save_pretrained(tmp_path)
    model = BertModel.from_pretrained(str(tmp_path))
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(model(ids).pooled, model(ids).pooled)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_function_cannot_be_written(tmp_path):
    model = BertModel(BertConfig(**SIZES, hidden_act=torch.tanh))
    with pytest.raises(ConfigError, match=r"hidden_act is a function, which config\.json cannot hold"):
        model.save_pretrained(tmp_path)
    assert list(Path(tmp_path).iterdir()) == []


def test_learning_leaves_the_file_as_it_is(tmp_path):
    saved = BertModel(CONFIG)
    saved.save_pretrained(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    model = BertModel.from_pretrained(tmp_path)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1.0
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert torch.equal(BertModel.from_pretrained(tmp_path).pooler.dense.weight, saved.pooler.dense.weight)


def test_a_model_may_be_saved_over_the_file_it_came_from(tmp_path):
    randomized(BertModel(CONFIG)).save_pretrained(tmp_path)
    model = BertModel.from_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    again = BertModel.from_pretrained(tmp_path)
    assert all(map(torch.equal, again.parameters(), model.parameters()))


def test_tensors_of_somebody_else_are_copied():
    saved, model = randomized(BertModel(CONFIG)), BertModel(CONFIG)
    tensors = {name: parameter.detach() for name, parameter in parameters_by_name(saved).items()}
    load_tensors(model, Path("memory"), tensors)
    model.pooler.dense.weight.data += 1.0
    assert torch.equal(model.pooler.dense.weight, saved.pooler.dense.weight + 1.0)
