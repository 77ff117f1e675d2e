import contextlib
import json
import os
import random
import re
import resource

import pytest
import torch

import bertx.training.checkpoints.folder as folder_module
from bertx.errors import CheckpointError
from bertx.training.checkpoints.folder import (
    MANIFEST,
    STATE,
    TENSORS,
    WEIGHTS,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from tests.training.checkpoints.saved import checkpoint, flip_bit

FILES = (WEIGHTS, TENSORS, STATE, MANIFEST)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints" / "step-00000001"


@contextlib.contextmanager
def room_for(num_bytes):
    """Lets no file grow beyond some bytes, as a full disk does, native code included."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_written_is_read(path):
    write_checkpoint(path, checkpoint(3))
    found = read_checkpoint(path)
    assert sorted(file.name for file in path.iterdir()) == sorted(FILES)
    assert found.weights["weight"].tolist() == [3.0] * 4
    assert (found.state["number"], found.state["moment"].tolist()) == (3, [3.5] * 4)


def test_the_manifest_names_size_and_digest_of_every_other_file(path):
    write_checkpoint(path, checkpoint())
    manifest = json.loads((path / MANIFEST).read_text())
    assert manifest["format_version"] == 1
    assert manifest["files"][STATE]["bytes"] == (path / STATE).stat().st_size
    assert sorted(manifest["files"]) == sorted(FILES[:3])
    assert all(re.fullmatch("[0-9a-f]{64}", file["sha256"]) for file in manifest["files"].values())


def test_a_weight_that_is_laid_out_otherwise_is_saved(path):
    weights = {"weight": torch.arange(6.0).reshape(2, 3).t()}
    write_checkpoint(path, Checkpoint(weights, {}))
    assert torch.equal(read_checkpoint(path).weights["weight"], weights["weight"])


def test_what_was_read_does_not_need_the_files_any_more(path):
    write_checkpoint(path, checkpoint(1, size=100_000))
    found = read_checkpoint(path)
    for name in (WEIGHTS, TENSORS):
        with (path / name).open("r+b") as file:
            file.write(bytes((path / name).stat().st_size))
    assert (found.weights["weight"] == 1.0).all()
    assert (found.state["moment"] == 1.5).all()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 1, 0.5, -1])
def test_a_file_that_was_cut_short_is_named(path, name, left):
    write_checkpoint(path, checkpoint())
    size = (path / name).stat().st_size
    os.truncate(path / name, int(size * left) if left == 0.5 else left % size)
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(path / name))}: "):
        read_checkpoint(path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_is_named(path, name):
    write_checkpoint(path, checkpoint())
    (path / name).unlink()
    message = f"^{re.escape(str(path / name))}: cannot be read: .*No such file"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_one_changed_bit_is_found_wherever_it_is(path):
    write_checkpoint(path, checkpoint())
    places = [(name, bit) for name in FILES for bit in range(8 * (path / name).stat().st_size)]
    for name, bit in random.Random(1).sample(places, 200):
        flip_bit(path / name, bit)
        with pytest.raises(CheckpointError, match=f"^{re.escape(str(path / name))}: "):
            read_checkpoint(path)
        flip_bit(path / name, bit)
    assert read_checkpoint(path).state["number"] == 0


def test_every_bit_of_the_manifest_counts(path):
    write_checkpoint(path, checkpoint())
    for bit in range(8 * (path / MANIFEST).stat().st_size):
        flip_bit(path / MANIFEST, bit)
        with pytest.raises(CheckpointError, match=f"^{re.escape(str(path / MANIFEST))}: "):
            read_checkpoint(path)
        flip_bit(path / MANIFEST, bit)


def test_a_later_format_asks_for_a_newer_bertx(path):
    write_checkpoint(path, checkpoint())
    text = (path / MANIFEST).read_text()
    (path / MANIFEST).write_text(text.replace('"format_version": 1', '"format_version": 2'))
    message = f"{path / MANIFEST}: format version 2, but this bertx reads 1 to 1; use a newer bertx"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        read_checkpoint(path)


def test_a_checkpoint_is_written_in_place_of_a_broken_one(path):
    write_checkpoint(path, checkpoint(1))
    (path / MANIFEST).unlink()
    write_checkpoint(path, checkpoint(2))
    assert read_checkpoint(path).state["number"] == 2
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("limit", [10, 300])
def test_a_full_disk_tells_how_much_room_is_needed_and_leaves_what_was_there(path, limit):
    write_checkpoint(path, checkpoint(1))
    message = (
        rf"^{re.escape(str(path))}: cannot be written \(.*File too large.*\); 800,000 bytes are needed\. "
        r"Make room, or lower trainer\.checkpointer\.keep_most_recent_by_count$"
    )
    with room_for(limit), pytest.raises(CheckpointError, match=message):
        write_checkpoint(path, checkpoint(2, size=100_000))
    assert read_checkpoint(path).state["number"] == 1
    assert os.listdir(path.parent) == [path.name]


def test_a_disk_that_fails_altogether_is_told_and_what_was_there_is_beside(path, monkeypatch):
    def fail(*arguments, **keywords):
        raise OSError(5, "Input/output error")

    write_checkpoint(path, checkpoint(1))
    real = type(path).rename
    aside = lambda self, target: real(self, target) if target.name.endswith(".old.part") else fail()  # noqa: E731
    monkeypatch.setattr(type(path), "rename", aside)
    monkeypatch.setattr(folder_module, "save_file", fail)
    with pytest.raises(CheckpointError, match=r"cannot be written \(Input/output error\)"):
        write_checkpoint(path, checkpoint(2))
    assert read_checkpoint(path.with_name(f".{path.name}.old.part")).state["number"] == 1
