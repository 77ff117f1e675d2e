"""A model's weights in one safetensors file, whole and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertx.atomic import flush_to_disk, replacing
from bertx.errors import CheckpointError


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Returns every parameter and buffer once: a shared one under its first name only."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def save_weights(model: nn.Module, path: Path) -> None:
    """Writes all weights of the model.

    Raises:
        CheckpointError: The disk is full, for instance; what was at `path` is still there.
    """
    write_tensors(path, tensors_of(model))


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: str | None = None) -> None:
    """Writes tensors to a safetensors file; it is on the disk when this returns.

    Args:
        path: The file.
        tensors: What to write.
        about: A text about them, for its header; None: none.

    Raises:
        CheckpointError: The disk is full, for instance; what was at `path` is still there.
    """
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One key only: safetensors writes several in random order, and equal weights should be equal files.
    metadata = {"format": "pt"} if about is None else {"bertx": about}
    try:
        with replacing(path) as temporary:
            save_file(on_cpu, temporary, metadata=metadata)
            flush_to_disk(temporary)
        flush_to_disk(path.parent)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be written: {error}") from None


def load_weights(model: nn.Module, path: Path) -> None:
    """Reads weights that `save_weights` wrote, into a model of the same config.

    Raises:
        CheckpointError: The file is missing or broken, or its tensors are not those of the model; then the
            model is as it was.
    """
    found, wanted = _same_tensors(model, path)
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(found[name])


def map_weights(model: nn.Module, path: Path) -> None:
    """Does what `load_weights` does by mapping the file into the model's memory, read when it is needed.

    All processes that map a file share its pages. What is written to the weights stays in this process. The
    file may be replaced or deleted while it is mapped, but not changed in place.

    Raises:
        CheckpointError: As in `load_weights`.
    """
    found, wanted = _same_tensors(model, path)
    for name, tensor in wanted.items():
        tensor.data = found[name].to(tensor.device, tensor.dtype)


def _same_tensors(model: nn.Module, path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Returns the tensors of a file and those of the model, which are the same but for their numbers."""
    found, wanted = read_tensors(path), tensors_of(model)
    compare_tensors(path, found, wanted)
    return found, wanted


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads a safetensors file with a model's weights.

    Raises:
        CheckpointError: The file is missing or broken.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; it should hold the model's weights")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); it may be cut short"
        ) from None


def compare_tensors(path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuses tensors that are not exactly those of the model.

    Raises:
        CheckpointError: Some are missing, others are there that should not be, or a shape is wrong.
    """
    advice = "the weights belong to another config"
    for problem, these, those in (("missing", wanted, found), ("not the model's", found, wanted)):
        names = [name for name in these if name not in those]
        if names:
            raise CheckpointError(
                f"{path}: {_count(names)} {problem}, e.g. {names[0]}; "
                f"expected the {len(wanted)} tensors of the model; {advice}"
            )
    names = [name for name in wanted if found[name].shape != wanted[name].shape]
    if names:
        shapes = f"{tuple(found[names[0]].shape)}, expected {tuple(wanted[names[0]].shape)}"
        raise CheckpointError(
            f"{path}: {_count(names)} of the wrong shape, e.g. {names[0]} is {shapes}; {advice}"
        )


def _count(names: Sequence[str]) -> str:
    return "1 tensor is" if len(names) == 1 else f"{len(names)} tensors are"
