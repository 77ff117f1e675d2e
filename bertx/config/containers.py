"""Kinds that hold other kinds, components among them, and the way from annotations to kinds."""

from __future__ import annotations

import collections.abc
import enum
import functools
import inspect
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from bertx.config.kinds import (
    BOOLEAN,
    INTEGER,
    JSON,
    NULL,
    NUMBER,
    PATH,
    STRING,
    Checker,
    Choice,
    FreeForm,
    Kind,
    Place,
    Ref,
    Scalar,
    choice_of_enum,
)
from bertx.config.registrable import Lazy
from bertx.config.signatures import FROM_PYTHON, Configurable


class ListOf(Kind):
    """A list of any length; `make` gives the constructor's container."""

    def __init__(self, item: Kind, make: Callable[[list[Any]], Any]) -> None:
        super().__init__(f"a list of {item.many}", f"lists of {item.many}")
        self.item, self.make = item, make

    def _fits(self, value: Any) -> bool:
        return isinstance(value, (list, tuple))

    def _check(self, value: Any, path: Place, checker: Checker) -> Any:
        checked = [self.item.check(item, (*path, index), checker) for index, item in enumerate(value)]
        try:
            return self.make(checked)
        except TypeError:  # a set of what cannot be hashed, because it was refused or is a component
            return checked

    def _schema(self, ref: Ref) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(ref)}


class TupleOf(Kind):
    """A list of fixed length with a kind for each place."""

    def __init__(self, items: list[Kind]) -> None:
        words = f"of {len(items)} ({', '.join(item.one for item in items)})"
        super().__init__(f"a list {words}", f"lists {words}")
        self.items = items

    def _fits(self, value: Any) -> bool:
        return isinstance(value, (list, tuple))

    def _check(self, value: Any, path: Place, checker: Checker) -> Any:
        if len(value) != len(self.items):
            return self.refuse(value, path, checker)
        pairs = zip(self.items, value, strict=True)
        return tuple(kind.check(item, (*path, index), checker) for index, (kind, item) in enumerate(pairs))

    def _schema(self, ref: Ref) -> dict[str, Any]:
        count = len(self.items)
        body: dict[str, Any] = {"type": "array", "minItems": count, "maxItems": count}
        return body | ({"prefixItems": [item.schema(ref) for item in self.items]} if self.items else {})


class DictOf(Kind):
    """An object with keys of the user's choice."""

    def __init__(self, item: Kind, whole_number_keys: bool) -> None:
        super().__init__(f"an object of {item.many}", f"objects of {item.many}")
        self.item, self.whole_number_keys = item, whole_number_keys

    def _fits(self, value: Any) -> bool:
        return isinstance(value, dict)

    def _check(self, value: Any, path: Place, checker: Checker) -> Any:
        checked: dict[str | int, Any] = {}
        for key, item in value.items():
            made: str | int = str(key)
            if self.whole_number_keys:
                try:
                    made = int(key)
                except ValueError:
                    checker.report((*path, key), "expected a whole number as the key")
            checked[made] = self.item.check(item, (*path, str(key)), checker)
        return checked

    def _schema(self, ref: Ref) -> dict[str, Any]:
        body = {"type": "object", "additionalProperties": self.item.schema(ref)}
        return body | ({"propertyNames": {"pattern": "^-?[0-9]+$"}} if self.whole_number_keys else {})


class Component(Kind):
    """An object described by its constructor's parameters."""

    def __init__(self, base: type, deferred: bool) -> None:
        name = base.__name__
        self.is_family = hasattr(base, "registry")
        super().__init__(f"{'an' if name[0] in 'AEIOU' else 'a'} {name}", f"{name} objects")
        self.base, self.deferred = base, deferred

    def _fits(self, value: Any) -> bool:
        return isinstance(value, dict) or (self.is_family and isinstance(value, str))

    def check(self, value: Any, path: Place, checker: Checker) -> Any:
        """Leaves everything to the checker, also the words for a value of the wrong type."""
        return self._check(value, path, checker)

    def _check(self, value: Any, path: Place, checker: Checker) -> Any:
        return checker.component(self.base, value, path, deferred=self.deferred)

    def _schema(self, ref: Ref) -> dict[str, Any]:
        return ref(self.base)


class OneOf(Kind):
    """Alternatives, told apart by their JSON type; a string goes to `str` before it names a component."""

    def __init__(self, arms: list[Kind]) -> None:
        super().__init__(" or ".join(arm.one for arm in arms), " or ".join(arm.many for arm in arms))
        self.arms = arms

    def _fits(self, value: Any) -> bool:
        return any(arm.fits(value) for arm in self.arms)

    def check(self, value: Any, path: Place, checker: Checker) -> Any:
        """Tries the alternatives that fit; for `X | None` the message is that of X alone."""
        return self._check(value, path, checker)

    def _check(self, value: Any, path: Place, checker: Checker) -> Any:
        fitting = sorted((arm for arm in self.arms if arm.fits(value)), key=lambda arm: _rank(arm, value))
        is_optional = len(self.arms) == 2 and NULL in self.arms and value is not None
        if is_optional:
            fitting = [arm for arm in self.arms if arm is not NULL]
        deeper = []
        for arm in fitting:
            trial = checker.trial()
            made = arm.check(value, path, trial)
            if not trial.count():
                return made
            if is_optional or not isinstance(arm, (Scalar, Choice)):
                deeper.append(trial)
        if not deeper:
            return self.refuse(value, path, checker)
        return checker.take_over(min(deeper, key=lambda trial: trial.count()))

    def _advice(self, value: Any) -> str:
        return next((advice for arm in self.arms if (advice := arm._advice(value))), "")

    def _schema(self, ref: Ref) -> dict[str, Any]:
        return {"anyOf": [arm.schema(ref) for arm in self.arms]}


def _rank(arm: Kind, value: Any) -> int:
    """Whole numbers before numbers, so that 3 stays whole; strings before names of components."""
    if isinstance(arm, (Component, FreeForm)):
        return 2 if isinstance(value, str) else 1
    return 1 if arm is NUMBER and isinstance(value, int) else 0


_SCALARS: dict[Any, Kind] = {
    int: INTEGER,
    float: NUMBER,
    bool: BOOLEAN,
    str: STRING,
    Path: PATH,
    type(None): NULL,
    None: NULL,
    JSON: FreeForm(),
    Any: FreeForm(),
    object: FreeForm(),
}
_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


@functools.cache
def kind_of(annotation: Any) -> Kind:
    """Finds the kind that a type annotation stands for.

    Raises:
        TypeError: No config can express a value of that type.
    """
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return kind_of(arguments[0])
    if origin in (Union, types.UnionType):
        arms = [part for part in arguments if FROM_PYTHON not in getattr(part, "__metadata__", ())]
        return OneOf([kind_of(arm) for arm in arms]) if len(arms) > 1 else kind_of(arms[0])
    if origin is Literal:
        return Choice([(argument, argument) for argument in arguments])
    if origin is Lazy:
        return Component(typing.get_origin(arguments[0]) or arguments[0], deferred=True)
    plain = origin or annotation
    if inspect.isclass(plain) and issubclass(plain, enum.Enum):
        return choice_of_enum(plain)
    if inspect.isclass(plain) and issubclass(plain, Configurable):
        return Component(plain, deferred=False)
    found = _container(plain, arguments)
    if found is None and hasattr(annotation, "__supertype__"):
        return kind_of(annotation.__supertype__)
    if found is None:
        name = getattr(plain, "__qualname__", str(plain))
        raise TypeError(
            f"no config can express a {name}: mark it Runtime[...] or derive its class from Configurable"
        )
    return found


def _container(plain: Any, arguments: tuple[Any, ...]) -> Kind | None:
    first = arguments[0] if arguments else JSON
    if plain in _LISTS:
        return ListOf(kind_of(first), list)
    if plain in (set, frozenset, collections.abc.Set):
        return ListOf(kind_of(first), frozenset if plain is frozenset else set)
    if plain is tuple and (not arguments or arguments[-1] is Ellipsis):
        return ListOf(kind_of(first), tuple)
    if plain is tuple:
        return TupleOf([kind_of(argument) for argument in arguments])
    if plain in _DICTS:
        return DictOf(kind_of(arguments[1] if arguments else JSON), whole_number_keys=first is int)
    return None
