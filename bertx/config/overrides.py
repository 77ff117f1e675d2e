"""Edits an evaluated config from the command line or from Python."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bertx.config.jsonnet import evaluate_snippet
from bertx.config.kinds import shown
from bertx.errors import ConfigError

Overrides: TypeAlias = Sequence[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Edit:
    """One change to a config.

    Args:
        path: Keys and list indices, as written.
        value: The new value; ignored if `delete`.
        delete: True for `~path`.
        label: How the user wrote it, for messages: `-o trainer.num_epochs=3`.
    """

    path: tuple[str, ...]
    value: Any
    delete: bool
    label: str


def apply_overrides(
    config: dict[str, Any], overrides: Overrides, ext_vars: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Applies overrides in order to a copy of a config.

    Args:
        config: An evaluated config; it stays as it is.
        overrides: `key.path=value`, `~key.path` or `{...}` (JSON or Jsonnet, whose dotted keys edit leaves);
            or a mapping from dotted keys to values.
        ext_vars: For `std.extVar` in Jsonnet overrides.

    Raises:
        ConfigError: An override cannot be read or does not fit the config.
    """
    edited = copy.deepcopy(config)
    for edit in parse_overrides(overrides, ext_vars):
        _apply(edited, edit)
    return edited


def parse_overrides(overrides: Overrides, ext_vars: Mapping[str, str] | None = None) -> list[Edit]:
    """Reads overrides without applying them.

    Raises:
        ConfigError: One of them is malformed.
    """
    if isinstance(overrides, str):
        overrides = [overrides]
    if isinstance(overrides, Mapping):
        return [_edit_of_key(key, value) for key, value in overrides.items()]
    return [edit for text in overrides for edit in _parse(text, ext_vars)]


def _parse(text: str, ext_vars: Mapping[str, str] | None) -> list[Edit]:
    stripped = text.strip()
    if stripped.startswith("{"):
        value = evaluate_snippet("--overrides", stripped, ext_vars)
        return [_edit_of_key(key, item) for key, item in value.items()]
    if stripped.startswith("~"):
        return [Edit(_path(stripped[1:], text), None, True, f"-o {_short(stripped)}")]
    key, equals, value = stripped.partition("=")
    if not equals:
        raise ConfigError(f"-o {_short(text)}: expected key.path=value, ~key.path or an object {{...}}")
    return [Edit(_path(key.strip(), text), _value(value.strip(), text), False, f"-o {_short(stripped)}")]


def _edit_of_key(key: str, value: Any) -> Edit:
    if key.startswith("~"):
        return Edit(_path(key[1:], key), None, True, f"-o {_short(key)}")
    return Edit(_path(key, key), copy.deepcopy(value), False, f"-o {_short(f'{key}={shown(value)}')}")


def _path(text: str, override: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split("."))
    if not all(parts):
        raise ConfigError(
            f"-o {_short(override)}: an empty key in the path; expected something like trainer.num_epochs"
        )
    return parts


def _value(text: str, override: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ConfigError(f"-o {_short(override)}: {constant} is no JSON number; expected a finite number")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return text


def _apply(config: dict[str, Any], edit: Edit) -> None:
    node: Any = config
    for depth, part in enumerate(edit.path[:-1]):
        node = _step(node, part, edit, depth)
    last, depth = edit.path[-1], len(edit.path) - 1
    if isinstance(node, list):
        index = _index(node, last, edit, depth, may_append=not edit.delete)
        if edit.delete:
            del node[index]
        elif index == len(node):
            node.append(edit.value)
        else:
            node[index] = edit.value
    elif not isinstance(node, dict):
        raise _no_way_through(node, edit, depth)
    elif edit.delete and last not in node:
        raise ConfigError(
            f'{edit.label}: nothing to delete: {_at(edit, depth)} has no "{last}"; it has: {_keys(node)}'
        )
    elif edit.delete:
        del node[last]
    else:
        node[last] = copy.deepcopy(edit.value)


def _step(node: Any, part: str, edit: Edit, depth: int) -> Any:
    """Goes one level down; a missing object is made, since the types decide which keys may be."""
    if isinstance(node, list):
        index = _index(node, part, edit, depth, may_append=not edit.delete)
        if index == len(node):
            node.append({})
        return node[index]
    if not isinstance(node, dict):
        raise _no_way_through(node, edit, depth)
    if part not in node and edit.delete:
        raise ConfigError(
            f'{edit.label}: nothing to delete: {_at(edit, depth)} has no "{part}"; it has: {_keys(node)}'
        )
    if node.get(part) is None:  # absent, or an explicit null: both mean "nothing here yet"
        node[part] = {}
    return node[part]


def _index(node: list[Any], part: str, edit: Edit, depth: int, *, may_append: bool) -> int:
    count = len(node)
    limit = count if may_append else count - 1
    if not part.isascii() or not part.isdigit() or int(part) > limit:
        allowed = f"an index from 0 to {limit}" if limit >= 0 else "nothing: the list is empty"
        raise ConfigError(
            f'{edit.label}: {_at(edit, depth)} is a list of {count}; expected {allowed}, got "{part}"'
        )
    return int(part)


def _no_way_through(node: Any, edit: Edit, depth: int) -> ConfigError:
    return ConfigError(
        f'{edit.label}: {_at(edit, depth)} is {shown(node)}, which has no "{edit.path[depth]}" in it'
    )


def _at(edit: Edit, depth: int) -> str:
    return ".".join(edit.path[:depth]) or "the config"


def _keys(node: dict[str, Any]) -> str:
    return ", ".join(sorted(node)) or "nothing"


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
