import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import bertx
from bertx.errors import BertxError, CheckpointError, ConfigError, UsageError
from bertx.runs.run import decimals
from bertx.training.weights import load_weights, map_weights
from tests.tiny import REVIEWS, workplace


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained.run, tmp_path / "copied")


def test_numbers_are_written_with_the_digits_of_float32():
    assert decimals(torch.tensor([[0.1, 1 / 3], [-2e-9, 123456.789]])) == [
        [0.1, 0.33333334],
        [-2e-9, 123456.79],
    ]


def test_numbers_come_back_as_the_same_float32():
    tensor = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 1e3
    assert np.array_equal(np.array(decimals(tensor), np.float32), tensor.numpy())


def test_numbers_that_are_not_finite_are_none_and_whole_ones_stay_whole():
    assert decimals(torch.tensor([float("nan"), float("inf"), 1.0])) == [None, None, 1.0]
    assert decimals(torch.tensor([[7, 8]])) == [[7, 8]]
    assert decimals(torch.tensor([0.1], dtype=torch.bfloat16)) == [0.100097656]
    assert decimals(torch.arange(6.0).reshape(2, 3).T) == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


def test_a_run_and_its_archive_have_equal_weights_without_network(trained, no_network):
    one, other = (bertx.load(place).model.state_dict() for place in (trained.run, trained.archive))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_weights_of_a_folder_are_mapped_and_those_of_an_archive_copied(trained, monkeypatch):
    used = []
    for name, read in {"map_weights": map_weights, "load_weights": load_weights}.items():
        monkeypatch.setattr(
            f"bertx.runs.run.{name}",
            lambda model, path, name=name, read=read: (used.append(name), read(model, path)),
        )
    bertx.load(trained.run), bertx.load(trained.archive)
    assert used == ["map_weights", "load_weights"]


def test_evaluation_gives_what_training_measured(trained, no_network):
    metrics = json.loads((trained.run / "metrics.json").read_text())
    for name, split in (("best_validation", "dev"), ("test", "test")):
        found = bertx.load(trained.archive).evaluate(REVIEWS / f"{split}.jsonl").all
        assert found["accuracy"] == metrics[f"{name}_accuracy"]
        assert found["loss"] == pytest.approx(metrics[f"{name}_loss"], abs=1e-6)


def test_a_run_predicts_in_the_precision_it_was_trained_in(trained):
    exact, rough = (
        bertx.load(trained.run, overrides={"trainer.precision": precision}) for precision in ("fp32", "bf16")
    )
    found = [run.predict(["a gripping film"])[0]["logits"] for run in (exact, rough)]
    assert (exact.precision, rough.precision) == ("fp32", "bf16")
    assert found[0] != found[1]
    assert found[0] == pytest.approx(found[1], abs=0.1)


def test_a_vocabulary_with_its_own_unknown_token_is_read_back(copied):
    config = json.loads((copied / "config.json").read_text())
    config["vocabulary"] = {"type": "from_instances", "oov_token": "<unk>", "padding_token": "<pad>"}
    (copied / "config.json").write_text(json.dumps(config))
    vocabulary = bertx.load(copied).vocabulary
    assert (vocabulary.oov_token, vocabulary.padding_token) == ("<unk>", "<pad>")


def test_weights_cut_short_are_told(copied):
    weights = copied / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match=r"model.safetensors: not a readable safetensors file"):
        bertx.load(copied)


def test_missing_tensors_are_told(copied):
    weights = copied / "best" / "model.safetensors"
    tensors = load_file(weights)
    del tensors["classifier.bias"]
    save_file(tensors, weights)
    with pytest.raises(CheckpointError, match=r"model.safetensors: 1 tensor.* missing.*classifier.bias"):
        bertx.load(copied)


def test_misshapen_tensors_are_told(copied):
    weights = copied / "best" / "model.safetensors"
    save_file({**load_file(weights), "classifier.bias": torch.zeros(3)}, weights)
    with pytest.raises(CheckpointError, match=r"classifier.bias is \(3,\), expected \(2,\)"):
        bertx.load(copied)


def test_a_forgotten_package_is_named(copied):
    for name, changes in (("environment", {"include_packages": ["mine.py"]}), ("config", {"model": "mine"})):
        path = copied / f"{name}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(
        ConfigError,
        match=r'no Model .* "mine"(.|\n)*this run was trained with --include-package mine.py; give it again',
    ):
        bertx.load(copied)


@pytest.mark.parametrize("part", ["labels.txt", "non_padded_namespaces.txt"])
def test_a_broken_vocabulary_is_told(copied, part):
    (copied / "vocabulary" / part).unlink()
    with pytest.raises(BertxError, match="vocabulary"):
        bertx.load(copied)


def test_an_unknown_device_is_told(trained):
    with pytest.raises(UsageError, match=r"--device nonsense: not usable here"):
        bertx.load(trained.run, device="nonsense")


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(CheckpointError, match=r"not a finished run: config.json, .* missing"):
        bertx.load(tmp_path)
    with pytest.raises(CheckpointError, match=r"none: no such run folder or archive"):
        bertx.load(tmp_path / "none")


def test_training_from_python_writes_the_same_run_as_the_command(tmp_path):
    path = workplace(tmp_path / "place")
    metrics = bertx.train(path, tmp_path / "run", overrides={"trainer.num_epochs": 1}, limit=32)
    assert metrics == json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["epoch"] == 0
