"""A model's weights in one safetensors file, whole and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertx.atomic import replacing
from bertx.errors import CheckpointError


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Returns every parameter and buffer once: a shared one under its first name only."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def save_weights(model: nn.Module, path: Path) -> None:
    """Writes all weights of the model.

    Raises:
        CheckpointError: The disk is full, for instance; what was at `path` is still there.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors_of(model).items()}
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
    except SafetensorError as error:
        raise CheckpointError(f"{path}: cannot be written: {error}") from None


def load_weights(model: nn.Module, path: Path) -> None:
    """Reads weights that `save_weights` wrote, into a model of the same config.

    Raises:
        CheckpointError: The file is missing or broken, or its tensors are not those of the model; then the
            model is as it was.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; it should hold the model's weights")
    try:
        found = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); it may be cut short"
        ) from None
    wanted = tensors_of(model)
    _compare(path, found, wanted)
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(found[name])


def _compare(path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuses tensors that are not exactly those of the model."""
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
