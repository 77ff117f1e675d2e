"""Walks and edits configs, for the property tests."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]

# The user chooses these keys, so no slip in them can be found.
FREE_KEYS = ("readers", "initializers", "extra", "parameter_groups")


def component_keys(node: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yields every key that a constructor's parameter or "type" stands for, with the path of its object."""
    if isinstance(node, dict):
        for key, value in node.items():
            if not path or path[-1] not in FREE_KEYS:
                yield path, key
            if key != "parameter_groups":
                yield from component_keys(value, (*path, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from component_keys(item, (*path, index))


def slips(word: str, letters: str) -> list[str]:
    """Makes every one-character slip: deletion, insertion, replacement, swap of neighbours."""
    found = set()
    for at in range(len(word) + 1):
        before, after = word[:at], word[at:]
        found |= {before + letter + after for letter in letters}
        found |= {before + letter + after[1:] for letter in ("", *letters) if after}
        found |= {before + after[1] + after[0] + after[2:] for _ in [0] if len(after) > 1}
    return sorted(found - {word})


def at(config: Any, path: Path) -> Any:
    """Gives the value at a path."""
    for part in path:
        config = config[part]
    return config


def with_key(config: Any, path: Path, old: str, new: str) -> Any:
    """Copies a config with one key renamed."""
    changed = copy.deepcopy(config)
    node = at(changed, path)
    renamed = {new if key == old else key: value for key, value in node.items()}
    node.clear()
    node.update(renamed)
    return changed


def with_value(config: Any, path: Path, value: Any) -> Any:
    """Copies a config with the value at a path replaced."""
    changed = copy.deepcopy(config)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def without(config: Any, path: Path) -> Any:
    """Copies a config with a key left out."""
    changed = copy.deepcopy(config)
    del at(changed, path[:-1])[path[-1]]
    return changed
