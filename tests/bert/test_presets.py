"""KerasHub's ten presets: their table, and where their names lead."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import huggingface_hub
import pytest
import torch

from bertx.bert.config import BertConfig
from bertx.bert.encoders import Encoders
from bertx.bert.model import BertModel
from bertx.bert.presets import PRESETS, fetch_from_kaggle, hub_name, num_parameters
from bertx.errors import CheckpointError

# Source: the table in KerasHub's documentation of BertTextClassifier.
MILLIONS = {
    "bert_tiny_en_uncased": "4.39M",
    "bert_small_en_uncased": "28.76M",
    "bert_medium_en_uncased": "41.37M",
    "bert_base_en_uncased": "109.48M",
    "bert_base_en": "108.31M",
    "bert_base_zh": "102.27M",
    "bert_base_multi": "177.85M",
    "bert_large_en_uncased": "335.14M",
    "bert_large_en": "333.58M",
    "bert_tiny_en_uncased_sst2": "4.39M",
}


def test_the_numbers_of_parameters_are_those_of_the_documentation():
    found = {name: f"{preset.num_parameters / 1e6:.2f}M" for name, preset in PRESETS.items()}
    assert found == MILLIONS


@pytest.mark.parametrize("name", ["bert_tiny_en_uncased", "bert_base_multi", "bert_large_en"])
def test_a_preset_counts_the_parameters_that_its_model_has(name):
    with torch.device("meta"):
        model = BertModel(PRESETS[name].config)
    assert sum(parameter.numel() for parameter in model.parameters()) == PRESETS[name].num_parameters


def test_parameters_of_any_config_are_counted():
    config = BertConfig(
        vocab_size=7,
        hidden_size=6,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=5,
        max_position_embeddings=9,
        type_vocab_size=4,
    )
    assert num_parameters(config) == sum(parameter.numel() for parameter in BertModel(config).parameters())


def test_case_is_ignored_where_the_name_says_so():
    assert [name for name, preset in PRESETS.items() if not preset.is_lower_case] == [
        "bert_base_en",
        "bert_base_zh",
        "bert_base_multi",
        "bert_large_en",
    ]


def test_handles_on_kaggle_are_those_of_kerashub():
    assert PRESETS["bert_base_en"].kaggle_handle == "kaggle://keras/bert/keras/bert_base_en/3"
    sst2 = PRESETS["bert_tiny_en_uncased_sst2"]
    assert sst2.kaggle_handle == "kaggle://keras/bert/keras/bert_tiny_en_uncased_sst2/5"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("bert_base_en", "keras/bert_base_en"),
        ("hf://google-bert/bert-base-cased", "google-bert/bert-base-cased"),
        ("google-bert/bert-base-cased", "google-bert/bert-base-cased"),
    ],
)
def test_names_on_the_hub(name, wanted):
    assert hub_name(name) == wanted


@pytest.mark.parametrize(
    "handle",
    [
        "kaggle://keras/bert/bert_base_en",
        "kaggle://keras/bert/keras/bert_base_en/3/4",
        "kaggle://keras/bert/keras/bert_base_en/latest",
        "kaggle://keras//keras/bert_base_en",
        "kaggle://",
    ],
)
def test_a_wrong_handle_tells_the_form(handle):
    with pytest.raises(
        CheckpointError, match=r"not a name on Kaggle; expected kaggle://ORGANIZATION/MODEL/FRAM"
    ):
        fetch_from_kaggle(handle)


def test_without_kagglehub_the_error_says_how_to_fetch(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CheckpointError) as caught:
        fetch_from_kaggle("kaggle://keras/bert/keras/bert_base_en/3")
    assert str(caught.value) == (
        "kaggle://keras/bert/keras/bert_base_en/3: needs kagglehub, which is not installed; "
        "pip install kagglehub, or fetch it from https://www.kaggle.com/models/keras/bert and give its "
        "folder; the Hugging Face hub has the same: hf://keras/bert_base_en"
    )


def kagglehub(monkeypatch: pytest.MonkeyPatch, download: object) -> None:
    module = types.ModuleType("kagglehub")
    module.model_download = download
    module.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def test_a_preset_on_kaggle_is_fetched_by_kagglehub(monkeypatch, golden):
    kagglehub(monkeypatch, lambda path: str(golden / path.split("/")[3]))
    model = Encoders().model("kaggle://me/bert/keras/classifier")
    assert model.config.num_labels == 3


def test_a_failed_fetch_from_kaggle_is_one_line(monkeypatch):
    def refuse(path: str) -> str:
        raise OSError("no\nroute")

    kagglehub(monkeypatch, refuse)
    with pytest.raises(
        CheckpointError, match=r"^kaggle://a/b/c/d: Kaggle could not be reached or .*: no route$"
    ):
        Encoders().model("kaggle://a/b/c/d")


def hub_of(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[tuple[str, list[str]]]:
    asked = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


@pytest.mark.parametrize("name", ["bert_tiny_en_uncased_sst2", "hf://keras/bert_tiny_en_uncased_sst2"])
def test_a_preset_comes_from_the_hub_with_all_its_files(monkeypatch, golden, tmp_path, name):
    asked = hub_of(monkeypatch, golden / "sharded")
    encoders = Encoders([tmp_path])
    assert encoders.model(name).config.hidden_act == "gelu_new"
    assert encoders.tokenizer(name).tokenize("The Fox") == ["the", "fox"]
    assert {repository for repository, _ in asked} == {"keras/bert_tiny_en_uncased_sst2"}
    assert {"*.weights.h5", "model.weights.json", "assets/tokenizer/*", "task.json"} <= set(asked[-1][1])
    assert not [pattern for pattern in asked[-1][1] if ".bin" in pattern]


def test_a_folder_here_goes_before_a_preset_of_its_name(monkeypatch, golden, tmp_path):
    asked = hub_of(monkeypatch, tmp_path / "none")
    (tmp_path / "bert_base_en").symlink_to(golden / "classifier")
    assert Encoders([tmp_path]).model("bert_base_en").config.hidden_size == 8
    assert asked == []
