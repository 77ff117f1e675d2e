"""Keras's files of weights: plain arrays are read, everything else that HDF5 can hold is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from bertx.bert.checkpoints.keras_h5 import (
    read_model_weights,
    read_weights_file,
    write_model_weights,
    write_weights_file,
)
from bertx.errors import CheckpointError

VARIABLES = {
    "layers/dense/vars/0": torch.arange(6.0).reshape(2, 3),
    "layers/dense/vars/1": torch.ones(3, dtype=torch.float64),
    "layers/dense_1/vars/0": torch.tensor(7, dtype=torch.int32),
    "layers/dense_2/vars/0": torch.ones(2, dtype=torch.bfloat16) * 1.5,
}


def written(folder: Path) -> Path:
    write_weights_file(folder / "model.weights.h5", VARIABLES)
    return folder / "model.weights.h5"


def test_what_is_written_is_read(tmp_path):
    found = read_weights_file(written(tmp_path))
    assert found.keys() == VARIABLES.keys()
    assert all(torch.equal(found[name], VARIABLES[name]) for name in VARIABLES)
    assert [found[name].dtype for name in VARIABLES] == [value.dtype for value in VARIABLES.values()]


def test_big_endian_numbers_are_read(tmp_path):
    with h5py.File(tmp_path / "big.h5", "w") as file:
        file["x"] = np.array([1.0, 2.0], dtype=">f4")
    assert read_weights_file(tmp_path / "big.h5")["x"].tolist() == [1.0, 2.0]


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.h5: cannot be read \(No such file or directory\)"):
        read_weights_file(tmp_path / "none.h5")


def test_a_folder_without_weights_names_what_was_looked_for(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        read_model_weights(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no weights here; expected model.weights.h5 or model.weights.json"
    )


@pytest.mark.parametrize("kept", [0, 5, 100, 1000, 3000])
def test_a_file_cut_short_is_an_error(tmp_path, kept):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        CheckpointError, match=r"model\.weights\.h5: damaged or cut short \(.*\); fetch or save"
    ):
        read_weights_file(path)


def test_a_damaged_file_never_ends_in_another_error(tmp_path):
    original = written(tmp_path).read_bytes()
    path, generator, refused = tmp_path / "damaged.h5", torch.Generator().manual_seed(0), 0
    places = torch.randint(0, len(original), (300,), generator=generator).tolist()
    for place in places:
        path.write_bytes(original[:place] + bytes([original[place] ^ 0xFF]) + original[place + 1 :])
        try:
            read_weights_file(path)
        except CheckpointError:
            refused += 1
    assert refused > 0


def hostile(file: h5py.File, kind: str) -> None:
    if kind == "unwritten":  # claims a terabyte and takes no room
        file.create_dataset("x", shape=(2**40,), dtype="f4")
    elif kind == "compressed":
        file.create_dataset("x", data=np.zeros(10**6, dtype="f4"), compression="gzip")
    elif kind == "external":
        file.create_dataset("x", shape=(4,), dtype="u1", external=[("/etc/hostname", 0, 4)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4,))
        file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize("kind", ["unwritten", "compressed", "external", "virtual"])
def test_arrays_that_are_not_plainly_there_are_refused(tmp_path, kind):
    with h5py.File(tmp_path / "hostile.h5", "w") as file:
        hostile(file, kind)
    with pytest.raises(CheckpointError, match=r"hostile\.h5: x is not stored whole and plain"):
        read_weights_file(tmp_path / "hostile.h5")


def test_an_array_that_claims_more_than_the_file_has_is_refused(tmp_path):
    path = tmp_path / "claims.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(12_345, dtype="u1")
    octets = path.read_bytes()
    assert octets.count((12_345).to_bytes(8, "little")) >= 2  # the shape, and the room that it takes
    path.write_bytes(octets.replace((12_345).to_bytes(8, "little"), (2**50).to_bytes(8, "little")))
    with pytest.raises(
        CheckpointError, match=r"claims\.h5: (x is not stored whole and plain|damaged or cut)"
    ):
        read_weights_file(path)


@pytest.mark.parametrize("value", ["text", np.array([b"ab"]), np.array([1 + 2j]), np.zeros(2, dtype="V3")])
def test_what_is_no_number_is_refused(tmp_path, value):
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["x"] = value
    with pytest.raises(CheckpointError, match=r"odd\.h5: x (holds .*; expected numbers|is not stored whole)"):
        read_weights_file(tmp_path / "odd.h5")


def test_links_lead_nowhere(tmp_path):
    written(tmp_path)
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["soft"] = h5py.SoftLink("/nowhere")
        file["external"] = h5py.ExternalLink("model.weights.h5", "/layers/dense/vars/0")
        file["group/loop"] = file["/"]
    assert read_weights_file(tmp_path / "links.h5") == {}


def sharded(folder: Path) -> Path:
    write_model_weights(folder, VARIABLES, max_shard_bytes=24)
    return folder / "model.weights.json"


def test_shards_are_as_large_as_allowed_and_read_together(tmp_path):
    index = sharded(tmp_path)
    assert json.loads(index.read_text()) == {
        "metadata": {"total_size": 56},
        "weight_map": {
            "/layers/dense/vars": ["model_00000.weights.h5", "model_00001.weights.h5"],
            "/layers/dense_1/vars": ["model_00002.weights.h5"],
            "/layers/dense_2/vars": ["model_00002.weights.h5"],
        },
    }
    path, found = read_model_weights(tmp_path)
    assert (path, found.keys()) == (index, VARIABLES.keys())


def test_a_missing_shard_is_an_error(tmp_path):
    sharded(tmp_path)
    (tmp_path / "model_00001.weights.h5").unlink()
    with pytest.raises(
        CheckpointError, match=r"shard model_00001\.weights\.h5 is missing; fetch all 3 shards"
    ):
        read_model_weights(tmp_path)


@pytest.mark.parametrize("name", ["../x.h5", "/etc/passwd", 3])
def test_a_shard_elsewhere_is_refused(tmp_path, name):
    (tmp_path / "model.weights.json").write_text(json.dumps({"weight_map": {"/layers/x/vars": name}}))
    message = re.escape(f"shard {name!r} is not the name of a file in the same folder")
    with pytest.raises(CheckpointError, match=message):
        read_model_weights(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": [["b"]]}}', "[" * 10**5]
)
def test_a_wrong_index_is_an_error(tmp_path, content):
    (tmp_path / "model.weights.json").write_text(content)
    with pytest.raises(
        CheckpointError, match=r'model\.weights\.json: not an index of shards; expected \{"weight'
    ):
        read_model_weights(tmp_path)
