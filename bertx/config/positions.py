"""Tells where the parts of an evaluated config are written, so that errors can say `file:line`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertx.config.kinds import Place
from bertx.config.outline import outline
from bertx.config.overrides import Edit, Overrides, parse_overrides
from bertx.config.source_nodes import UNKNOWN, Access, Import, Listing, Local, Name, Node, Object, Sum
from bertx.config.source_tokens import Unreadable

# Names may refer to each other in a circle, and so may files.
_MAX_STEPS = 100


class Positions:
    """Finds the line of a value in a config's source.

    Where the source is not understood, it is the line of what surrounds the value, or none.

    Args:
        path: The config file.
        import_paths: Folders that it may import from besides its own.
        edits: Overrides applied after evaluation.
    """

    def __init__(self, path: Path, import_paths: Sequence[Path] = (), edits: Sequence[Edit] = ()) -> None:
        self._path = path
        self._import_paths = list(import_paths)
        self._edits = list(edits)
        self._outlines: dict[Path, Node] = {}

    def overridden(self, overrides: Overrides, ext_vars: Mapping[str, str] | None = None) -> Positions:
        """Also knows what overrides wrote.

        Raises:
            ConfigError: An override is malformed.
        """
        edits = [*self._edits, *parse_overrides(overrides, ext_vars)]
        return Positions(self._path, self._import_paths, edits)

    def place(self, path: Place) -> str | None:
        """Tells `file:line`, or the override, that wrote the value at a path or what surrounds it."""
        parts = tuple(str(part) for part in path)
        for edit in reversed(self._edits):
            earlier = _before_deletion(parts, edit)
            if earlier == parts and parts[: len(edit.path)] == edit.path:
                return edit.label
            parts = earlier
        depth, place = self._written(parts)
        if depth < len(parts):
            for edit in reversed(self._edits):
                if edit.path[: len(parts)] == parts and not edit.delete:
                    return edit.label  # the override made the objects on its way
        return place

    def _written(self, parts: tuple[str, ...]) -> tuple[int, str | None]:
        """Finds the place of the longest start of a path that the source tells about."""
        place = None
        value: _Value | _Merged = _Value(self._outline(self._path), _Scope(self._path, {}, None))
        for depth, part in enumerate(parts):
            found = self._member(value, part, _MAX_STEPS)
            if not isinstance(found, _Found):
                return depth, place
            place, value = found.place, found.value
        return len(parts), place

    def _outline(self, path: Path) -> Node:
        if path not in self._outlines:
            try:
                self._outlines[path] = outline(path.read_text(encoding="utf-8-sig"))
            except (OSError, UnicodeDecodeError, Unreadable):
                self._outlines[path] = UNKNOWN
        return self._outlines[path]

    def _resolve(self, value: _Value | _Merged, steps: int) -> _Value | _Merged:
        """Follows names, imports, `local` and field access to an object, a list or a sum."""
        for _ in range(steps):
            if isinstance(value, _Merged):
                return value
            node, scope = value.node, value.scope
            if isinstance(node, Local):
                value = _Value(node.body, _Scope(scope.file, node.names, scope))
            elif isinstance(node, Name):
                value = scope.lookup(node.name)
            elif isinstance(node, Import):
                value = self._imported(node.file, scope.file)
            elif isinstance(node, Sum):
                return _Merged(_Value(node.left, scope), _Value(node.right, scope))
            elif isinstance(node, Access):
                found = self._member(_Value(node.value, scope), node.key, steps - 1)
                value = found.value if isinstance(found, _Found) else _NOWHERE
            else:
                return value
            steps -= 1
        return _NOWHERE

    def _imported(self, file: str, importer: Path) -> _Value:
        for folder in [importer.parent, self._path.parent, *self._import_paths]:
            path = Path(os.path.normpath(folder / file))
            if path.is_file():
                return _Value(self._outline(path), _Scope(path, {}, None))
        return _NOWHERE

    def _member(self, value: _Value | _Merged, key: str, steps: int) -> _Found | bool:
        """Finds a key or index; False if it is surely not there, True if it may be."""
        if steps <= 0:
            return True
        value = self._resolve(value, steps)
        if isinstance(value, _Merged):
            return self._member_of_sum(value, key, steps - 1)
        node, scope = value.node, value.scope
        if isinstance(node, Listing):
            return _item(node, scope, key)
        if not isinstance(node, Object):
            return True
        if key not in node.fields:
            return not node.complete
        found = node.fields[key]
        inner = _Scope(scope.file, node.names, scope)
        return _Found(f"{scope.file}:{found.line}", _Value(found.value, inner), found.extends)

    def _member_of_sum(self, value: _Merged, key: str, steps: int) -> _Found | bool:
        left = self._resolve(value.left, steps)
        if isinstance(left, _Value) and isinstance(left.node, Listing) and key.isdigit():
            count = len(left.node.items)
            if left.node.every:
                return True
            if int(key) >= count:
                return self._member(value.right, str(int(key) - count), steps)
            return self._member(left, key, steps)
        right = self._member(value.right, key, steps)
        if right is True:
            return True
        if isinstance(right, _Found) and not right.extends:
            return right
        below = self._member(value.left, key, steps)
        if not isinstance(right, _Found):
            return below
        base = below.value if isinstance(below, _Found) else _NOWHERE
        extends = below.extends if isinstance(below, _Found) else below is True
        return _Found(right.place, _Merged(base, right.value), extends)


@dataclass(frozen=True)
class _Scope:
    """The variables that a piece of source sees."""

    file: Path
    names: Mapping[str, Any]
    parent: _Scope | None

    def lookup(self, name: str) -> _Value:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return _Value(scope.names[name], scope)
            scope = scope.parent
        return _NOWHERE


@dataclass(frozen=True)
class _Value:
    node: Node
    scope: _Scope


@dataclass(frozen=True)
class _Merged:
    left: _Value | _Merged
    right: _Value | _Merged


@dataclass(frozen=True)
class _Found:
    place: str
    value: _Value | _Merged
    extends: bool


_NOWHERE = _Value(UNKNOWN, _Scope(Path(), {}, None))


def _item(node: Listing, scope: _Scope, key: str) -> _Found | bool:
    index = 0 if node.every else int(key) if key.isdigit() else -1
    if not 0 <= index < len(node.items):
        return False
    line, item = node.items[index]
    return _Found(f"{scope.file}:{line}", _Value(item, scope), False)


def _before_deletion(parts: tuple[str, ...], edit: Edit) -> tuple[str, ...]:
    """Undoes the shift of list indices that a deletion causes."""
    at = len(edit.path) - 1
    if not edit.delete or parts[:at] != edit.path[:at] or len(parts) <= at:
        return parts
    if not edit.path[at].isdigit() or not parts[at].isdigit() or int(parts[at]) < int(edit.path[at]):
        return parts
    return (*parts[:at], str(int(parts[at]) + 1), *parts[at + 1 :])
