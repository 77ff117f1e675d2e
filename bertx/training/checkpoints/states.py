"""Nested states, such as an optimizer's, as JSON and named tensors: no pickle, and nothing is lost.

Tuples, numbers as keys, infinities and NaN survive; every object of the JSON says what it stands for, so that
no key of a state can be mistaken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from torch import Tensor

from bertx.data.instance import JSON

State: TypeAlias = (
    "Tensor | bool | int | float | str | list[State] | tuple[State, ...] | Mapping[str | int, State] | None"
)
"""What a checkpoint can hold."""


def pack(state: object, name: str, tensors: dict[str, Tensor]) -> JSON:
    """Turns a state into JSON, and moves its tensors out of it.

    Args:
        state: The state.
        name: What to call it; its tensors are named after it and their place in it.
        tensors: Takes the tensors, on the CPU.

    Raises:
        TypeError: There is something in it that is none of `State`.
    """
    if state is None or isinstance(state, (bool, int, float, str)):
        return state
    if isinstance(state, Tensor):
        while name in tensors:  # {"a.b": ...} beside {"a": {"b": ...}}, or the keys 1 and "1"
            name += "~"
        tensors[name] = state.detach().cpu().contiguous()
        return {"tensor": name}
    if isinstance(state, (list, tuple)):
        items = [pack(item, f"{name}.{number}", tensors) for number, item in enumerate(state)]
        return {"tuple": items} if isinstance(state, tuple) else items
    if isinstance(state, Mapping):
        if strange := [key for key in state if not isinstance(key, (str, int))]:
            raise TypeError(f"{name}: the key {strange[0]!r} cannot be kept in a checkpoint")
        return {"dict": [[key, pack(value, f"{name}.{key}", tensors)] for key, value in state.items()]}
    raise TypeError(f"{name}: a {type(state).__name__} cannot be kept in a checkpoint")


def unpack(packed: JSON, tensors: Mapping[str, Tensor]) -> State:
    """Returns the state that `pack` was given.

    Raises:
        KeyError: A tensor is missing.
        ValueError: It is nothing that `pack` makes.
    """
    if isinstance(packed, list):
        return [unpack(item, tensors) for item in packed]
    if not isinstance(packed, dict):
        return packed
    match packed:
        case {"tensor": str(name)}:
            return tensors[name]
        case {"tuple": list(items)}:
            return tuple(unpack(item, tensors) for item in items)
        case {"dict": list(pairs)}:
            return dict(_pair(pair, tensors) for pair in pairs)
    raise ValueError(f"no packed state: {packed}")


def _pair(pair: JSON, tensors: Mapping[str, Tensor]) -> tuple[str | int, State]:
    match pair:
        case [str() | int() as key, value]:
            return key, unpack(value, tensors)
    raise ValueError(f"no key and value: {pair}")


def num_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Returns how much room tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
