"""Files of weights: read if they hold tensors only, refused with a reason if not."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bertx.bert.checkpoints.weight_files import read_tensors
from bertx.errors import CheckpointError

TENSORS = {"a": torch.ones(100, 40), "b": torch.zeros(100, 40)}


def as_pickle(folder: Path, content: object) -> Path:
    torch.save(content, folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def test_safetensors_are_preferred(tmp_path):
    as_pickle(tmp_path, {})
    save_file(TENSORS, tmp_path / "model.safetensors")
    path, tensors = read_tensors(tmp_path)
    assert (path.name, sorted(tensors)) == ("model.safetensors", ["a", "b"])


def test_a_folder_without_weights_names_what_was_looked_for(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        read_tensors(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no weights here; expected one of model.safetensors, model.safetensors.index.json, "
        "pytorch_model.bin, pytorch_model.bin.index.json"
    )


@pytest.mark.parametrize("kept", [0, 4, 100, 20_000])
def test_safetensors_cut_short_are_an_error(tmp_path, kept):
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: damaged or cut short \(.*\); fetch or save it"
    ):
        read_tensors(tmp_path)


@pytest.mark.parametrize("kept", [0, 4, 100, 20_000])
def test_a_file_of_pytorch_cut_short_is_an_error(tmp_path, kept):
    path = as_pickle(tmp_path, TENSORS)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        CheckpointError, match=r"pytorch_model\.bin: damaged or cut short.*; fetch or save it again$"
    ):
        read_tensors(tmp_path)


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("dump", ["torch", "pickle"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, dump):
    path = as_pickle(tmp_path, {"embeddings": Hostile(tmp_path / "ran")})
    if dump == "pickle":
        path.write_bytes(pickle.dumps(Hostile(tmp_path / "ran"), protocol=2))
    with pytest.raises(CheckpointError) as caught:
        read_tensors(tmp_path)
    assert str(caught.value) == (
        f"{path}: refused, since it holds {os.mkdir.__module__}.mkdir; expected tensors only, as loading "
        "anything else can run code of whoever made the file; convert it to safetensors where you trust it"
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "holds a list; expected tensors by name"),
        ({"state_dict": {"a": torch.zeros(1)}}, "'state_dict' is a dict; expected tensors by name"),
        ({1: torch.zeros(1)}, "1 is a Tensor; expected tensors by name"),
    ],
)
def test_anything_but_tensors_by_name_is_refused(tmp_path, content, message):
    path = as_pickle(tmp_path, content)
    with pytest.raises(CheckpointError) as caught:
        read_tensors(tmp_path)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("[]", "not an index of shards"),
        ("{", "not an index of shards"),
        ('{"weight_map": {"a": ["b"]}}', "not an index of shards"),
        (
            '{"weight_map": {"a": "../b.safetensors"}}',
            "'../b.safetensors' is not the name of a file in the same",
        ),
        ('{"weight_map": {"a": "b.safetensors"}}', "shard b.safetensors is missing; fetch all 1 shards"),
    ],
)
def test_a_wrong_index_of_shards_is_an_error(tmp_path, index, message):
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError, match=message):
        read_tensors(tmp_path)
