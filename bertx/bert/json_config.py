"""Reading a `config.json`: its JSON object, and whether the values fit the fields of a dataclass."""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bertx.errors import CheckpointError

Hint: typing.TypeAlias = object  # a type annotation


def read_settings(path: Path) -> dict[str, object]:
    """Reads the JSON object in a `config.json`.

    Raises:
        CheckpointError: The file is missing, or no JSON object.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: there is no such file; expected the config.json of a BERT encoder"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise CheckpointError(
            f"{path}: not JSON ({error}); expected the config.json of a BERT encoder"
        ) from None
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path}: not a JSON object (found a {type(settings).__name__})")
    return settings


def settable_types(kind: type) -> dict[str, Hint]:
    """Returns the type of every field of a dataclass that its constructor takes."""
    hints = typing.get_type_hints(kind)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind) if item.init}


def misfit(name: str, value: object, hint: Hint) -> str:
    """Says what is wrong with a value; empty if it fits."""
    return "" if _fits(value, hint) else f"{name} is {json.dumps(value)}; expected {_in_words(hint)}"


def typed(value: object, hint: Hint) -> object:
    """Gives whole numbers to an object that JSON can only key by strings; other values stay."""
    if isinstance(value, Mapping) and typing.get_origin(hint) is dict and typing.get_args(hint)[0] is int:
        return {int(key): item for key, item in value.items()}
    return value


def _fits(value: object, hint: Hint) -> bool:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return any(_fits(value, arm) for arm in typing.get_args(hint))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin is collections.abc.Callable:
        return callable(value)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            (arguments[0] is not int or str(key).isdecimal()) and _fits(item, arguments[1])
            for key, item in value.items()
        )
    if hint is object:
        return True
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint  # exactly: a bool is no size


def _in_words(hint: Hint) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, types.UnionType) or origin is typing.Union:
        # No file can hold a function.
        arms = [arm for arm in arguments if typing.get_origin(arm) is not collections.abc.Callable]
        return " or ".join(_in_words(arm) for arm in arms)
    if origin is Literal:
        return "one of " + ", ".join(json.dumps(name) for name in arguments)
    if origin is list:
        return f"a list, each {_in_words(arguments[0])}"
    if origin is dict:
        key = "whole numbers" if arguments[0] is int else "names"
        values = "" if arguments[1] is object else f", each value {_in_words(arguments[1])}"
        return f"an object with {key} as keys{values}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
    return words.get(typing.cast(type, hint), "null")
