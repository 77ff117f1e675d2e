"""Reads Google-style docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from bertx.config.signatures import Maker

_PARAMETER = re.compile(r"^(?P<name>\w+)(?: \([^)]*\))?:\s*(?P<text>.*)$")


def summary(maker: Maker) -> str:
    """Gives the first sentence or paragraph of a docstring, on one line."""
    text = _docstring(maker)
    first = text.split("\n\n", maxsplit=1)[0]
    return " ".join(first.split())


def arguments(maker: Maker) -> dict[str, str]:
    """Gives what the `Args` section says about each parameter; `__init__` adds to its class."""
    found: dict[str, str] = {}
    if inspect.isclass(maker) and "__init__" in vars(maker):
        found |= dict(_arguments(inspect.getdoc(maker.__init__) or ""))
    return found | dict(_arguments(_docstring(maker)))


def _docstring(maker: Maker) -> str:
    text = inspect.cleandoc(maker.__doc__ or "")
    # A dataclass without docstring gets its signature for one.
    return "" if inspect.isclass(maker) and text.startswith(f"{maker.__name__}(") else text


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    lines = iter(text.splitlines())
    for line in lines:
        if line.strip() == "Args:":
            break
    name, words, indent = "", [""], None
    for line in lines:
        if line and not line.startswith(" "):
            break
        depth = len(line) - len(line.lstrip())
        indent = depth if indent is None else indent
        found = _PARAMETER.match(line.strip()) if depth == indent else None
        if found:
            if name:
                yield name, " ".join(" ".join(words).split())
            name, words = found["name"], [found["text"]]
        else:
            words.append(line)
    if name:
        yield name, " ".join(" ".join(words).split())
