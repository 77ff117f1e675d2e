"""The identity of a run: a hash of all that decides what it yields.

That is its config, defaults filled in; the content of every file that the config names, wherever it lies; the
seed; and the source of all that computes. What was finished under one identity need not be done again.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import bertx
from bertx.ablation.study.study_file import Config
from bertx.config.kinds import JSON
from bertx.errors import DataError
from bertx.runs.environment import source_files

# Rooms whose code decides nothing of what a run yields.
BYSTANDERS = ("ablation", "report", "cli", "exports", "keras_style", "api.py")
DATA = ("train_data_path", "validation_data_path", "test_data_path")
ENCODER_FILES = ("config.json", "vocab.txt", "tokenizer.json", "bert_config.json")


def code_version(include_packages: Sequence[str] = ()) -> str:
    """Hashes the source of bertx, as far as it trains and evaluates, and of the user's own components."""
    home = Path(bertx.__file__).parent
    own = [path for path in sorted(home.rglob("*.py")) if path.relative_to(home).parts[0] not in BYSTANDERS]
    parts = [f"{path.relative_to(home).as_posix()} {_content(path)}" for path in own]
    for name in include_packages:
        parts += [f"{path.name} {_content(path)}" for path in source_files(name)]
    return _digest(parts)


def run_identity(
    config: Config, files: Mapping[str, Iterable[Path]], *, search: Sequence[Path], code: str
) -> str:
    """Hashes all that decides what a run yields.

    Args:
        config: Its config with all defaults, the seed among them.
        files: The data files of each split; they stand for the paths that the config has.
        search: Folders that relative paths start from.
        code: What `code_version` returned.

    Returns:
        64 hexadecimal digits.

    Raises:
        DataError: A file cannot be read.
    """
    rest: Config = {name: value for name, value in config.items() if name not in DATA}
    data = [f"{split} {[_content(path) for path in paths]}" for split, paths in sorted(files.items())]
    return _digest([json.dumps(_stable(rest, search), sort_keys=True), *data, code])


def _stable(value: JSON, search: Sequence[Path]) -> JSON:
    """Puts the content of files and encoders in place of their paths, which differ between machines."""
    if isinstance(value, dict):
        return {name: _stable(item, search) for name, item in value.items()}
    if isinstance(value, list):
        return [_stable(item, search) for item in value]
    if not isinstance(value, str) or not value.strip() or len(value) > 1000 or "\0" in value:
        return value
    found = next((path for folder in search if (path := folder / value).exists()), None)
    if found is not None and found.is_file():
        return f"content {_content(found)}"
    if found is not None and any((found / name).is_file() for name in ENCODER_FILES):
        parts = [f"{path.name} {_content(path)}" for path in sorted(found.iterdir()) if path.is_file()]
        return f"content {_digest(parts)}"
    return value


def _content(path: Path) -> str:
    try:
        status = path.stat()
        return _content_at(path.resolve(), status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); the study needs it") from None


@functools.cache
def _content_at(path: Path, modified: int, size: int) -> str:
    """Hashes a file; the same file at the same time only once."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
