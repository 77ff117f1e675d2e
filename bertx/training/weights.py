"""A model's weights in one safetensors file, whole and checked."""

from __future__ import annotations

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
    """Writes all weights of the model."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors_of(model).items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})


def load_weights(model: nn.Module, path: Path) -> None:
    """Reads weights that `save_weights` wrote, into a model of the same config.

    Raises:
        CheckpointError: The file is missing or broken, or its tensors are not those of the model.
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
    missing = [name for name in wanted if name not in found]
    if missing:
        raise CheckpointError(
            f"{path}: {len(missing)} of {len(wanted)} tensors are missing, e.g. {missing[0]}; "
            "the weights belong to another config"
        )
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path}: {name} is {tuple(found[name].shape)}, expected {tuple(tensor.shape)}; "
                "the weights belong to another config"
            )
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(found[name])
