"""What Jsonnet source is made of, as far as the lines of its keys are concerned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Unknown:
    """A value that is not followed: a scalar, a call, a comprehension over keys."""


@dataclass(frozen=True)
class Name:
    """A variable."""

    name: str


@dataclass(frozen=True)
class Import:
    """`import "file"`."""

    file: str


@dataclass(frozen=True)
class Access:
    """`value.key`."""

    value: Node
    key: str


@dataclass(frozen=True)
class Sum:
    """`left + right`, where right's keys win."""

    left: Node
    right: Node


@dataclass(frozen=True)
class Local:
    """`local name = value; body`."""

    names: dict[str, Node]
    body: Node


@dataclass(frozen=True)
class Listing:
    """`[a, b]`; with `every`, the one item of a comprehension."""

    items: list[tuple[int, Node]]
    every: bool = False


@dataclass(frozen=True)
class Field:
    """`key: value`, or `key+: value` with `extends`."""

    line: int
    value: Node
    extends: bool


@dataclass
class Object:
    """`{...}`; `complete` is False where some keys are computed."""

    fields: dict[str, Field] = field(default_factory=dict)
    names: dict[str, Node] = field(default_factory=dict)
    complete: bool = True


Node: TypeAlias = "Unknown | Name | Import | Access | Sum | Local | Listing | Object"
UNKNOWN = Unknown()
