"""Paths that a config names: relative to its own folder, then to the working directory."""

from __future__ import annotations

import copy
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from bertx.config.registrable import Lazy
from bertx.errors import DataError

Planned = TypeVar("Planned")


def find_data(path: str, search: Sequence[Path]) -> Path:
    """Finds a data file or folder; a pattern such as `novels/*.txt` is left to the reader.

    Raises:
        DataError: It is in none of the folders.
    """
    candidates = list(dict.fromkeys(folder / Path(path).expanduser() for folder in search))
    for candidate in candidates:
        if candidate.exists():
            return candidate
    for candidate in candidates:
        if glob.has_magic(str(candidate)) and glob.glob(str(candidate), recursive=True):
            return candidate
    if Path(path).is_absolute():
        raise DataError(f"{path}: no such file; check the path")
    looked_in = " and ".join(dict.fromkeys(str(folder.absolute()) for folder in search))
    raise DataError(f"{path}: no such file; looked in {looked_in}; check the path")


def with_paths_found(value: Planned, search: Sequence[Path]) -> Planned:
    """Copies a plan (or a setting of one) with each relative `Path` replaced by the first that exists."""
    made: object = value
    if isinstance(value, Lazy):
        made = copy.copy(value)
        made.settings = {name: with_paths_found(item, search) for name, item in value.settings.items()}
    elif isinstance(value, dict):
        made = {name: with_paths_found(item, search) for name, item in value.items()}
    elif isinstance(value, list | tuple | set | frozenset):
        made = type(value)(with_paths_found(item, search) for item in value)
    elif isinstance(value, Path):
        candidates = (folder / value.expanduser() for folder in search)
        made = next((path for path in candidates if path.exists()), value)
    return made  # type: ignore[return-value]  # of the type of `value`, case by case
