"""What a config may say where a constructor has a type: checks, plain words and JSON Schema per type."""

from __future__ import annotations

import enum
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from bertx.config.suggestions import did_you_mean

if TYPE_CHECKING:
    JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
else:

    class JSON:
        """Marks a parameter that takes any JSON value; a config's typing errors inside it go unseen."""


Place: TypeAlias = tuple[str | int, ...]
MAX_DEPTH = 100

# Refers to the JSON Schema of a component.
Ref: TypeAlias = Callable[[type], dict[str, Any]]


class Checker(Protocol):
    """Collects the problems of one config; it alone knows how components are checked."""

    def report(self, path: Place, text: str) -> None:
        """Notes a problem."""

    def trial(self) -> Checker:
        """Gives a fresh checker, whose problems count only if they are taken over."""

    def count(self) -> int:
        """Counts the problems so far."""

    def take_over(self, other: Checker) -> None:
        """Notes the problems of a trial."""

    def component(self, base: type, value: Any, path: Place, *, deferred: bool) -> Any:
        """Checks the description of a component."""


class Kind(ABC):
    """One type of value.

    Args:
        one: Words for one value, with article: `a number`.
        many: Words for several: `numbers`.
    """

    def __init__(self, one: str, many: str) -> None:
        self.one, self.many = one, many

    def fits(self, value: Any) -> bool:
        """Says whether the JSON type is right; the contents may still be wrong."""
        return self._fits(value)

    def check(self, value: Any, path: Place, checker: Checker) -> Any:
        """Turns a JSON value into what the constructor gets; reports what is wrong."""
        if not self.fits(value):
            return self.refuse(value, path, checker)
        return self._check(value, path, checker)

    def schema(self, ref: Ref) -> dict[str, Any]:
        """Gives the JSON Schema; `ref` refers to a component."""
        return self._schema(ref)

    def refuse(self, value: Any, path: Place, checker: Checker) -> None:
        """Reports a value of the wrong type."""
        checker.report(path, f"expected {self.one}, got {shown(value)}{self._advice(value)}")

    @abstractmethod
    def _fits(self, value: Any) -> bool: ...

    @abstractmethod
    def _check(self, value: Any, path: Place, checker: Checker) -> Any: ...

    @abstractmethod
    def _schema(self, ref: Ref) -> dict[str, Any]: ...

    def _advice(self, value: Any) -> str:
        return ""


class Scalar(Kind):
    """A number, a string, true or false, null, or something written as a string.

    Args:
        types: Python types of the JSON value; bool never passes for a number.
        convert: Makes the constructor's value.
        json_type: As JSON Schema calls it.
    """

    def __init__(
        self, one: str, many: str, *, types: tuple[type, ...], convert: Callable[[Any], Any], json_type: str
    ) -> None:
        super().__init__(one, many)
        self.types, self.convert, self.json_type = types, convert, json_type

    def _fits(self, value: Any) -> bool:
        return type(value) in self.types

    def _check(self, value: Any, path: Place, checker: Checker) -> Any:
        try:
            converted = self.convert(value)
        except (OverflowError, ValueError):
            return self.refuse(value, path, checker)
        if isinstance(converted, float) and not math.isfinite(converted):
            return self.refuse(value, path, checker)
        return converted

    def _advice(self, value: Any) -> str:
        return _std_advice(self, value)

    def _schema(self, ref: Ref) -> dict[str, Any]:
        return {"type": self.json_type}


def _same(value: Any) -> Any:
    return value


INTEGER = Scalar("a whole number", "whole numbers", types=(int,), convert=_same, json_type="integer")
NUMBER = Scalar("a number", "numbers", types=(int, float), convert=float, json_type="number")
BOOLEAN = Scalar("true or false", "true or false", types=(bool,), convert=_same, json_type="boolean")
STRING = Scalar("a string", "strings", types=(str,), convert=_same, json_type="string")
PATH = Scalar("a path", "paths", types=(str,), convert=Path, json_type="string")
NULL = Scalar("null", "null", types=(type(None),), convert=_same, json_type="null")


class Choice(Kind):
    """A closed choice: a `Literal` or an enumeration.

    Args:
        choices: From the JSON value to the constructor's value.
    """

    def __init__(self, choices: Sequence[tuple[Any, Any]]) -> None:
        words = " or ".join(json.dumps(written) for written, _ in choices)
        super().__init__(words, words)
        self.choices = list(choices)

    def _fits(self, value: Any) -> bool:
        return any(type(value) is type(written) for written, _ in self.choices)

    def _check(self, value: Any, path: Place, checker: Checker) -> Any:
        for written, made in self.choices:
            if type(value) is type(written) and value == written:
                return made
        return self.refuse(value, path, checker)

    def _advice(self, value: Any) -> str:
        words = [written for written, _ in self.choices if isinstance(written, str)]
        return did_you_mean(value, words) if isinstance(value, str) else ""

    def _schema(self, ref: Ref) -> dict[str, Any]:
        return {"enum": [written for written, _ in self.choices]}


def choice_of_enum(members: Iterable[enum.Enum]) -> Choice:
    """Lets a config choose a member of an enumeration by its value, or by name if values are no scalars."""
    plain = (str, int, float, bool)
    return Choice([(m.value if isinstance(m.value, plain) else m.name, m) for m in members])


class FreeForm(Kind):
    """Any JSON value."""

    def __init__(self) -> None:
        super().__init__("any JSON value", "any JSON values")

    def _fits(self, value: Any) -> bool:
        return True

    def _check(self, value: Any, path: Place, checker: Checker) -> Any:
        if len(path) > MAX_DEPTH:
            return checker.report(path[:3], f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, dict):
            return {str(key): self.check(item, (*path, str(key)), checker) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.check(item, (*path, index), checker) for index, item in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            return self.refuse(value, path, checker)
        if value is None or isinstance(value, (str, int, float)):
            return value
        return self.refuse(value, path, checker)

    def _schema(self, ref: Ref) -> dict[str, Any]:
        return {}


def shown(value: Any) -> str:
    """Shows a value in a message, shortened."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = repr(type(value).__name__)
    return text if len(text) <= 60 else text[:57] + "..."


def _std_advice(kind: Scalar, value: Any) -> str:
    """Explains strings that hold what was wanted, as `std.extVar` always gives them."""
    if not isinstance(value, str) or kind not in (INTEGER, NUMBER, BOOLEAN):
        return ""
    try:
        meant = json.loads(value)
    except (ValueError, RecursionError):
        return ""
    if not kind.fits(meant):
        return ""
    return (
        ", a string; take the quotes away, or write std.parseJson(std.extVar(...)) for an external variable"
    )
