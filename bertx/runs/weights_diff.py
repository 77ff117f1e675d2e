"""How the tensors of two files of weights differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bertx.errors import CheckpointError

State: TypeAlias = Literal["same", "different", "reshaped", "added", "removed"]
MARKS: dict[State, str] = {"same": " ", "different": "!", "reshaped": "!", "added": "+", "removed": "-"}


@dataclass(frozen=True)
class Measure:
    """How the tensors of one name are compared.

    Attributes:
        scale: Multiplies the distance.
        threshold: The largest distance of two tensors that count as the same.
    """

    scale: float = 1.0
    threshold: float = 1e-5

    def distance(self, old: Tensor, new: Tensor) -> float:
        """Returns the root of the mean squared difference, times the scale; NaN if there is a NaN."""
        if not old.numel():
            return 0.0
        difference = old.to(torch.float64) - new.to(torch.float64)
        return self.scale * float(difference.square_().mean().sqrt())


@dataclass(frozen=True)
class TensorDifference:
    """The tensors of one name.

    Attributes:
        name: The name.
        state: Whether they are the same.
        shape: The shape, before if it has changed.
        new_shape: The shape now, if it has changed.
        distance: How far apart they are; None if they cannot be compared.
    """

    name: str
    state: State
    shape: tuple[int, ...]
    new_shape: tuple[int, ...] | None = None
    distance: float | None = None

    def as_json(self) -> dict[str, object]:
        """Returns an object without what is None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        new_shape = f" -> {_shown(self.new_shape)}" if self.new_shape is not None else ""
        distance = f", distance {self.distance:.4g}" if self.state == "different" else ""
        return f"{MARKS[self.state]} {self.name}, {_shown(self.shape)}{new_shape}{distance}"


def _shown(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def read_tensors(path: Path, strip_prefix: str = "") -> dict[str, Tensor]:
    """Reads a safetensors file.

    Args:
        path: The file.
        strip_prefix: Taken off the names that begin with it.

    Raises:
        CheckpointError: It cannot be read, or two names are the same without the prefix.
    """
    try:
        found = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from None
    named = {name.removeprefix(strip_prefix): tensor for name, tensor in found.items()}
    if len(named) < len(found):
        raise CheckpointError(f"{path}: without {strip_prefix!r} two tensors have one name; strip another")
    return named


def tensor_differences(
    old: Mapping[str, Tensor], new: Mapping[str, Tensor], measure: Measure
) -> Iterator[TensorDifference]:
    """Yields every tensor of the two, in the order of `old`, then of `new`."""
    for name, tensor in old.items():
        shape = tuple(tensor.shape)
        if name not in new:
            yield TensorDifference(name, "removed", shape)
        elif (new_shape := tuple(new[name].shape)) != shape:
            yield TensorDifference(name, "reshaped", shape, new_shape)
        else:
            distance = measure.distance(tensor, new[name])
            # A NaN is never the same: no comparison with it holds.
            is_same = distance <= measure.threshold
            yield TensorDifference(name, "same" if is_same else "different", shape, distance=distance)
    for name, tensor in new.items():
        if name not in old:
            yield TensorDifference(name, "added", tuple(tensor.shape))
