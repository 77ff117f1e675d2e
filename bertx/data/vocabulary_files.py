"""The files of a saved Vocabulary, in AllenNLP's format.

A folder with `non_padded_namespaces.txt`, one pattern per line, and `<namespace>.txt`, one token per line in
the order of the indices. Padded namespaces leave out index 0, the padding token. A newline inside a token is
`@@NEWLINE@@`. UTF-8, lines end in a line feed.

Source: AllenNLP 2.10, `allennlp/data/vocabulary.py`, `save_to_files` and `set_from_file`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bertx.atomic import write_text
from bertx.errors import DataError

PATTERNS_FILE = "non_padded_namespaces.txt"
NEWLINE = "@@NEWLINE@@"


def matches(namespace: str, patterns: Iterable[str]) -> bool:
    """Tells whether a pattern, a name or `*suffix`, fits the namespace."""
    return any(
        namespace == pattern or (pattern.startswith("*") and namespace.endswith(pattern[1:]))
        for pattern in patterns
    )


def read_patterns(directory: Path) -> list[str]:
    """Reads which namespaces are not padded.

    Raises:
        DataError: The folder is not a saved vocabulary.
    """
    file = directory / PATTERNS_FILE
    if not file.is_file():
        raise DataError(f"{directory}: no {PATTERNS_FILE}; expected the folder of a saved vocabulary")
    return [line.strip() for line in _lines(file)]


def read_namespaces(directory: Path) -> dict[str, list[str]]:
    """Reads the tokens that stand in the files, by namespace.

    Raises:
        DataError: A file is not UTF-8, or has a token twice.
    """
    namespaces = {}
    for file in sorted(directory.iterdir()):
        if file.name == PATTERNS_FILE or file.name.startswith(".") or file.is_dir():
            continue
        tokens = [line.replace(NEWLINE, "\n") for line in _lines(file)]
        if len(set(tokens)) < len(tokens):
            twice = next(token for index, token in enumerate(tokens) if token in tokens[:index])
            raise DataError(f"{file}: {twice!r} occurs twice; expected every token once")
        namespaces[file.name.removesuffix(".txt")] = tokens
    return namespaces


def write_files(directory: Path, patterns: Sequence[str], namespaces: Mapping[str, Sequence[str]]) -> None:
    """Writes the tokens as they shall stand in the files; each file is written atomically.

    Raises:
        DataError: A namespace or token cannot be written so that it reads back the same, or the folder holds
            files that would be read back as further namespaces.
    """
    files = {PATTERNS_FILE: "".join(f"{pattern}\n" for pattern in patterns)}
    for namespace, tokens in namespaces.items():
        files[_file_name(namespace)] = "".join(f"{_escaped(token, namespace)}\n" for token in tokens)
    directory.mkdir(parents=True, exist_ok=True)
    there = {file.name for file in directory.iterdir() if file.name[0] != "."}
    strange = ", ".join(sorted(there - files.keys()))
    if strange:
        raise DataError(
            f"{directory}: holds {strange}, which would be read as part of this vocabulary; "
            f"give an empty folder"
        )
    for name, text in files.items():
        write_text(directory / name, text)


def _lines(file: Path) -> list[str]:
    """Splits at line feeds, with or without carriage return, only: tokens may hold other separators."""
    try:
        lines = re.split(r"\r?\n", file.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 at byte {error.start}; expected a vocabulary file") from None
    return lines[:-1] if lines[-1] == "" else lines


def _file_name(namespace: str) -> str:
    name = f"{namespace}.txt"
    if "/" in namespace or "\\" in namespace or namespace.startswith(".") or name == PATTERNS_FILE:
        raise DataError(f"vocabulary: namespace {namespace!r} cannot be the name of a file; rename it")
    return name


def _escaped(token: str, namespace: str) -> str:
    if NEWLINE in token or token.endswith("\r"):
        raise DataError(
            f"vocabulary: {token!r} in namespace {namespace!r} would not read back the same from a file; "
            f"a token must not end in a carriage return or contain {NEWLINE}"
        )
    return token.replace("\n", NEWLINE)
