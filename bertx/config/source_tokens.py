"""Cuts Jsonnet source into tokens that know their line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


class Unreadable(Exception):
    """The source has a shape that is not understood."""


@dataclass(frozen=True)
class Token:
    """A piece of source; `kind` is name, text, number, sign or end."""

    kind: str
    text: str
    line: int


_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
    |(?P<block>\|\|\|-?[ \t]*\r?\n.*?\n[ \t]*\|\|\|)
    |(?P<verbatim>@"(?:[^"]|"")*"|@'(?:[^']|'')*')
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<name>[A-Za-z_]\w*)
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<sign>:::|::|:|\+:::|\+::|\+:|==|!=|<=|>=|<<|>>|&&|\|\||[{}\[\](),.;$=<>+\-*/%&|^!~])""",
    re.VERBOSE | re.DOTALL,
)


def tokens(source: str) -> Iterator[Token]:
    """Cuts source into tokens, the last of kind "end".

    Raises:
        Unreadable: A character starts no token.
    """
    at, line = 0, 1
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None or found.lastgroup is None:
            raise Unreadable(f"line {line}: {source[at : at + 10]!r}")
        kind, text = found.lastgroup, found.group()
        if kind in ("text", "verbatim", "block"):
            yield Token("text", _unquoted(kind, text), line)
        elif kind != "space":
            yield Token(kind, text, line)
        at, line = found.end(), line + text.count("\n")
    yield Token("end", "", line)


def _unquoted(kind: str, text: str) -> str:
    if kind == "block":
        return text
    if kind == "verbatim":
        return text[2:-1].replace(text[1] * 2, text[1])
    return re.sub(r"\\([\"'\\/])", r"\1", text[1:-1])
