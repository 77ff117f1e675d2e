"""Runs whose encoder learnt through low-rank updates alone."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

import bertx
from bertx.bert.checkpoints.peft import load_adapter
from bertx.bert.lora import lora_layers
from tests.commands import bertx as command
from tests.tiny import REVIEWS, config, train_once, workplace

LORA = {"rank": 4, "alpha": 16, "dropout": 0.1, "targets": ["query", "value", "intermediate"]}
TEST = REVIEWS / "test.jsonl"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_once(tmp_path_factory.mktemp("lora"), config(model__lora=LORA))


def test_folder_and_archive_give_the_metrics_of_training(trained, no_network):
    first, second = (command("evaluate", place, TEST) for place in (trained.run, trained.archive))
    assert (first.status, first.out) == (0, second.out)
    assert first.json["accuracy"] == trained.train.json["test_accuracy"]


def test_folder_and_archive_predict_the_same(trained):
    texts = ["a gripping film", "dull"]
    one, other = (bertx.load(place).predict(texts) for place in (trained.run, trained.archive))
    assert one == other
    assert len(list(lora_layers(bertx.load(trained.archive).model))) == 6


def test_the_encoder_itself_was_not_trained(tmp_path):
    weights = {}
    for name, epochs in (("one", 1), ("two", 2)):
        path = workplace(tmp_path / name, config(model__lora=LORA, trainer__num_epochs=epochs))
        assert command("train", path, "-s", tmp_path / f"{name}-run", "--limit", "32").status == 0
        weights[name] = load_file(tmp_path / f"{name}-run" / "best" / "model.safetensors")
    trained = [name for name, one in weights["one"].items() if not torch.equal(one, weights["two"][name])]
    assert trained
    assert all(".lora_" in name or name.startswith("classifier.") for name in trained)


def test_a_run_has_its_updates_as_peft_reads_them(trained):
    folder = trained.run / "adapter"
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert (settings["r"], settings["lora_alpha"], settings["lora_dropout"]) == (4, 16.0, 0.1)
    assert (settings["modules_to_save"], settings["base_model_name_or_path"]) == (["classifier"], None)
    assert len(load_file(folder / "adapter_model.safetensors")) == 2 * 2 * 3 + 2


def test_the_updates_of_a_run_are_read_back_into_a_plain_encoder(trained):
    run = bertx.load(trained.run)
    expected = run.predict(["a gripping film"])
    model = run.model.adapted
    for name, layer in list(lora_layers(model)):
        plain = torch.nn.Linear(layer.in_features, layer.out_features)
        plain.load_state_dict({"weight": layer.weight, "bias": layer.bias})
        model.set_submodule(name, plain)
    torch.nn.init.zeros_(run.model.classifier.weight)
    assert run.predict(["a gripping film"]) != expected
    load_adapter(model.eval(), trained.run / "adapter")
    assert run.predict(["a gripping film"]) == expected


def test_a_run_without_updates_has_no_such_folder(tmp_path):
    path = workplace(tmp_path / "place", config(trainer__num_epochs=1))
    assert command("train", path, "-s", tmp_path / "run", "--limit", "16").status == 0
    assert not (tmp_path / "run" / "adapter").exists()


def test_a_target_that_is_no_layer_is_a_mistake_in_the_config(tmp_path):
    path = workplace(tmp_path / "place", config(model__lora={"rank": 4, "targets": ["querry"]}))
    done = command("train", path, "-s", tmp_path / "run")
    assert done.status == 2
    assert (
        'lora.targets: no linear layer is called "querry"; the encoder has layers.#.attention.query'
        in done.err
    )
    assert not (tmp_path / "run").exists()
