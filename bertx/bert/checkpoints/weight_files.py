"""Reading the tensors of a folder: safetensors or PyTorch's format, whole or in shards. No code is run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bertx.errors import CheckpointError

# In the order of preference: safetensors cannot hold anything but tensors.
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def read_tensors(folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """Reads every tensor of a folder's weights.

    Returns:
        The file (of shards: their index) and the tensors by their names in it, on the CPU.

    Raises:
        CheckpointError: There is no file of weights, or it is damaged, or it holds more than tensors.
    """
    for name in WEIGHT_FILES:
        path = folder / name
        if path.is_file():
            return path, _read_shards(path) if name.endswith(".index.json") else _read_file(path)
    raise CheckpointError(f"{folder}: no weights here; expected one of {', '.join(WEIGHT_FILES)}")


def _read_shards(index: Path) -> dict[str, Tensor]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted(set(weight_map.values()))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CheckpointError(
            f'{index}: not an index of shards; expected {{"weight_map": {{tensor: file}}}}'
        ) from None
    tensors: dict[str, Tensor] = {}
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise CheckpointError(f"{index}: shard {shard!r} is not the name of a file in the same folder")
        if not (index.parent / shard).is_file():
            raise CheckpointError(f"{index}: shard {shard} is missing; fetch all {len(shards)} shards")
        tensors.update(_read_file(index.parent / shard))
    return tensors


def _read_file(path: Path) -> dict[str, Tensor]:
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or cut short ({error}); fetch or save it again") from error


def _read_pickled(path: Path) -> dict[str, Tensor]:
    try:
        content: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise any error
        found = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, UnpicklingError) else None
        if found:
            raise CheckpointError(
                f"{path}: refused, since it holds {found[1]}; expected tensors only, as loading anything "
                "else can run code of whoever made the file; convert it to safetensors where you trust it"
            ) from error
        # What other errors say is about torch's insides; some advise to load without this protection.
        reason = f" ({error.strerror})" if isinstance(error, OSError) else ""
        raise CheckpointError(f"{path}: damaged or cut short{reason}; fetch or save it again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}; expected tensors by name")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: {name!r} is a {type(value).__name__}; expected tensors by name")
    return content
