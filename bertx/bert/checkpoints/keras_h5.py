"""Reading and writing Keras's files of weights: HDF5, whole, in shards, or inside a `.keras` archive.

Each variable is a dataset `<layer>/<sublayer>/vars/<number>`. Nothing but contiguous arrays of numbers is
read: HDF5 can also hold links to other files, arrays that were never written and compressed ones, none of
which Keras writes.
"""

from __future__ import annotations

import importlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bertx.atomic import replacing, write_json
from bertx.errors import CheckpointError

if TYPE_CHECKING:
    import h5py

MODEL_FILE = "model.weights.h5"
INDEX_FILE = "model.weights.json"
SHARD_FILE = "model_{:05}.weights.h5"
MAX_SHARD_BYTES = 10 * 2**30  # KerasHub's own default


def read_weights_file(path: Path) -> dict[str, Tensor]:
    """Reads every variable of a `.weights.h5`, by its path in the file.

    Raises:
        CheckpointError: The file is damaged, or holds what Keras does not write; h5py is not installed.
    """
    try:
        with path.open("rb") as stream:
            return read_stream(path, stream)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None


def read_stream(path: Path, stream: IO[bytes]) -> dict[str, Tensor]:
    """Reads every variable of an opened `.weights.h5`; `path` is for errors. See `read_weights_file`."""
    hdf5 = _h5py()
    datasets: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, hdf5.Dataset):
            datasets[name] = item

    try:
        size = stream.seek(0, os.SEEK_END)
        with hdf5.File(stream, "r") as file:
            file.visititems(collect)  # which follows no link that leads out of the file
            return {name: _array(path, name, dataset, size) for name, dataset in datasets.items()}
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, UnicodeError) as error:
        raise CheckpointError(f"{path}: damaged or cut short ({error}); fetch or save it again") from error


def read_model_weights(folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """Reads `model.weights.h5` of a folder, or the shards that `model.weights.json` lists.

    Returns:
        The file (of shards: their index) and the variables.

    Raises:
        CheckpointError: There are no weights, or they are damaged or incomplete.
    """
    whole, index = folder / MODEL_FILE, folder / INDEX_FILE
    if whole.is_file():
        return whole, read_weights_file(whole)
    if not index.is_file():
        raise CheckpointError(f"{folder}: no weights here; expected {MODEL_FILE} or {INDEX_FILE}")
    variables: dict[str, Tensor] = {}
    for name in _shards(index):
        variables |= read_weights_file(folder / name)
    return index, variables


def write_weights_file(path: Path, variables: Mapping[str, Tensor]) -> None:
    """Writes variables, by their paths, to a `.weights.h5`."""
    with replacing(path) as temporary, temporary.open("w+b") as stream:
        write_stream(stream, variables)


def write_stream(stream: IO[bytes], variables: Mapping[str, Tensor]) -> None:
    """Writes variables to an empty stream that can be read and sought."""
    with _h5py().File(stream, "w") as file:
        for name, tensor in variables.items():
            if tensor.dtype == torch.bfloat16:
                # NumPy has no bfloat16: Keras stores its two bytes and says so.
                dataset = file.create_dataset(name, data=tensor.view(torch.int16).numpy().view("V2"))
                dataset.attrs["dtype"] = "bfloat16"
            else:
                file.create_dataset(name, data=tensor.numpy())


def write_model_weights(
    folder: Path, variables: Mapping[str, Tensor], max_shard_bytes: int = MAX_SHARD_BYTES
) -> None:
    """Writes `model.weights.h5`, or shards and `model.weights.json` if that would be too large.

    Raises:
        CheckpointError: A single variable is larger than a shard may be.
    """
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in variables.items():
        if tensor.nbytes > max_shard_bytes:
            raise CheckpointError(
                f"{folder}: {name} has {tensor.nbytes} bytes; a shard may have {max_shard_bytes}: allow more"
            )
        if sum(one.nbytes for one in shards[-1].values()) + tensor.nbytes > max_shard_bytes:
            shards.append({})
        shards[-1][name] = tensor
    if len(shards) == 1:
        write_weights_file(folder / MODEL_FILE, variables)
        return
    weight_map: dict[str, list[str]] = {}
    for number, shard in enumerate(shards):
        write_weights_file(folder / SHARD_FILE.format(number), shard)
        for name in shard:
            files = weight_map.setdefault(f"/{name.rpartition('/')[0]}", [])
            files += [SHARD_FILE.format(number)] * (SHARD_FILE.format(number) not in files)
    total = sum(tensor.nbytes for tensor in variables.values())
    write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})


def _h5py() -> ModuleType:
    try:
        return importlib.import_module("h5py")
    except ModuleNotFoundError:
        raise CheckpointError(
            'weights of Keras are HDF5 files, which need h5py; pip install "bertx[keras]"'
        ) from None


def _array(path: Path, name: str, dataset: h5py.Dataset, file_bytes: int) -> Tensor:
    # An array that is not all there could claim any size.
    num_bytes = math.prod(dataset.shape or ()) * int(dataset.dtype.itemsize)
    is_plain = dataset.chunks is None and not dataset.is_virtual and not dataset.external
    if not is_plain or dataset.id.get_storage_size() != num_bytes or num_bytes > file_bytes:
        raise CheckpointError(f"{path}: {name} is not stored whole and plain, as Keras stores variables")
    if dataset.dtype == np.dtype("V2") and dataset.attrs.get("dtype") == "bfloat16":
        return torch.from_numpy(dataset[()].view(np.int16)).view(torch.bfloat16)
    if dataset.dtype.kind not in "fiu":
        raise CheckpointError(f"{path}: {name} holds {dataset.dtype}; expected numbers")
    array = np.asarray(dataset[()])
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _shards(index: Path) -> list[str]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        listed = [files if isinstance(files, list) else [files] for files in weight_map.values()]
        names = sorted({name for files in listed for name in files})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise CheckpointError(
            f'{index}: not an index of shards; expected {{"weight_map": {{variable: file}}}}'
        ) from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"{index}: shard {name!r} is not the name of a file in the same folder")
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index}: shard {name} is missing; fetch all {len(names)} shards")
    return names
