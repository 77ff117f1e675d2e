"""One checkpoint: a folder that is whole or not there, and tells if a bit of it has changed since.

step-00001200/
    model.safetensors      the weights in training
    state.safetensors      the tensors of every other state
    state.json             the states themselves
    manifest.json          size and SHA-256 of each of these; written last
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bertx.atomic import flush_to_disk, new_folder
from bertx.data.instance import JSON
from bertx.errors import CheckpointError, DataError
from bertx.training.checkpoints.states import State, num_bytes, pack, unpack

FORMAT_VERSION = 1
WEIGHTS, TENSORS, STATE, MANIFEST = "model.safetensors", "state.safetensors", "state.json", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        weights: Every parameter and buffer of the model by name, in full.
        state: All else that training needs to go on.
    """

    weights: Mapping[str, Tensor]
    state: Mapping[str, State]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint in place of what is at `path`; it is on the disk when this returns.

    Raises:
        CheckpointError: The disk is full, for instance; nothing is left of it, and others are as they were.
    """
    tensors: dict[str, Tensor] = {}
    packed = pack(checkpoint.state, "state", tensors)
    needed = num_bytes(checkpoint.weights) + num_bytes(tensors)
    old = path.with_name(f".{path.name}.old.part")
    try:
        if path.exists():  # a broken one, or that of an earlier attempt
            shutil.rmtree(old, ignore_errors=True)
            path.rename(old)
        with new_folder(path) as folder:
            weights = {name: tensor.contiguous() for name, tensor in checkpoint.weights.items()}
            save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
            save_file(tensors, folder / TENSORS)
            (folder / STATE).write_text(json.dumps(packed), encoding="utf-8")
            files = {name: _describe(folder / name) for name in (WEIGHTS, TENSORS, STATE)}
            (folder / MANIFEST).write_text(_manifest(files), encoding="utf-8")
            for name in (*files, MANIFEST):
                flush_to_disk(folder / name)
            flush_to_disk(folder)
        flush_to_disk(path.parent)
    except (OSError, DataError, SafetensorError) as error:
        cause = error.__cause__ if isinstance(error, DataError) else error
        raise CheckpointError(
            f"{path}: cannot be written ({_reason(cause or error)}); {needed:,} bytes are needed. "
            "Make room, or lower trainer.checkpointer.keep_most_recent_by_count"
        ) from error
    finally:
        if path.exists() or not old.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with suppress(OSError):  # `remove_leftovers` does it where the disk does not answer at all
                old.rename(path)


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    # safetensors reports the system's errors as texts of its own.
    return "No space left on device" if f"os error {errno.ENOSPC}" in text else text


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint, every byte of it checked.

    Raises:
        CheckpointError: A file is missing, cut short or changed, or a later bertx wrote it.
    """
    _check_files(path)
    try:
        weights, tensors = _read_tensors(path / WEIGHTS), _read_tensors(path / TENSORS)
        packed: JSON = json.loads((path / STATE).read_text(encoding="utf-8"))
        state = cast("dict[str, State]", unpack(packed, tensors))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    return Checkpoint(weights, state)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    # Copied: safetensors maps the file, which is deleted while an optimizer still has the tensors.
    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def _check_files(path: Path) -> None:
    """Compares every file with the manifest, and the manifest with what would be written today."""
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path / MANIFEST}: cannot be read: {error}") from None
    version = found.get("format_version") if isinstance(found, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path / MANIFEST}: format version {version}, but this bertx reads 1 to {FORMAT_VERSION}; "
            "use a newer bertx"
        )
    files = found.get("files") if isinstance(found, dict) else None
    if not isinstance(files, dict) or text != _manifest(files):
        raise CheckpointError(f"{path / MANIFEST}: has changed since it was written")
    for name, described in files.items():
        try:
            if _describe(path / name) != described:
                raise CheckpointError(f"{path / name}: has changed since it was written, or was cut short")
        except OSError as error:
            raise CheckpointError(f"{path / name}: cannot be read: {error.strerror}") from None


def _describe(file: Path) -> dict[str, JSON]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _manifest(files: Mapping[str, JSON]) -> str:
    """Writes the manifest, with a digest of itself."""
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    return json.dumps({"format_version": FORMAT_VERSION, "files": files, "sha256": digest}, indent=1) + "\n"
