"""The run folder, and `model.tar.gz` which holds the same for travelling.

A run folder holds all that evaluating and predicting need: nothing is fetched and no file outside is read.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import cast

from bertx.atomic import replacing, write_json
from bertx.data.instance import JSON
from bertx.errors import CheckpointError, UsageError

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
ARCHIVE = "model.tar.gz"
WEIGHTS = "best/model.safetensors"
PARTS = ("config.json", "environment.json", "vocabulary", "encoder", WEIGHTS)
OPTIONAL_PARTS = ("config.jsonnet", "metrics.json")

MAX_MEMBERS = 10_000
MAX_UNPACKED_BYTES = 64 * 2**30
MAX_RATIO = 200  # weights shrink to no less than a tenth; what shrinks more is made to fill a disk
FREE_BYTES = 64 * 2**20  # below this the ratio does not matter


def claim_run_folder(folder: Path, *, force: bool) -> None:
    """Makes an empty run folder.

    Args:
        folder: Where.
        force: Whether to move an existing one aside, to `folder.old-1` and so on; nothing is deleted.

    Raises:
        UsageError: There is something, and `force` was not given.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not force:
            raise UsageError(
                f"{folder}: exists and is not empty; choose another folder with -s, "
                "or add --force to move the old one aside"
            )
        number = 1
        while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
            number += 1
        os.replace(folder, aside)
        logger.info("%s: moved to %s", folder, aside)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be made: {error.strerror}; choose another folder with -s"
        ) from None


def describe_environment(**more: JSON) -> dict[str, JSON]:
    """Describes what a run ran on; goes to `environment.json`."""
    packages = ("bertx", "torch", "tokenizers", "safetensors", "numpy", "jsonnet", "pydantic")
    return {
        "format_version": FORMAT_VERSION,
        "packages": {name: _version(name) for name in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "command": cast(JSON, list(sys.argv)),
        "git_commit": _git_commit(),
        **more,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


@dataclass(frozen=True)
class RunFiles:
    """An open run folder or archive.

    Attributes:
        folder: Where its files are.
        config: The resolved config.
        environment: What `environment.json` holds.
        unpacked: Holds an archive's files until it is closed; None for a folder.
    """

    folder: Path
    config: dict[str, JSON]
    environment: dict[str, JSON]
    unpacked: tempfile.TemporaryDirectory[str] | None = None


def open_run(path: Path) -> RunFiles:
    """Opens a run folder or a `model.tar.gz`.

    Raises:
        CheckpointError: It is neither, or is incomplete, broken, hostile, or of a later version.
    """
    if path.is_dir():
        return _open_folder(path, path)
    if not path.exists():
        raise CheckpointError(f"{path}: no such run folder or archive")
    unpacked = tempfile.TemporaryDirectory(prefix="bertx-")
    try:
        unpack(path, Path(unpacked.name))
        return _open_folder(Path(unpacked.name), path, unpacked)
    except BaseException:
        unpacked.cleanup()
        raise


def _open_folder(
    folder: Path, name: Path, unpacked: tempfile.TemporaryDirectory[str] | None = None
) -> RunFiles:
    missing = [part for part in PARTS if not (folder / part).exists()]
    if missing:
        raise CheckpointError(
            f"{name}: not a finished run: {', '.join(missing)} missing; expected a folder that "
            "`bertx train -s` wrote, or its model.tar.gz"
        )
    environment = _read_json(folder / "environment.json", name)
    found = environment.get("format_version")
    if not isinstance(found, int) or found > FORMAT_VERSION:
        raise CheckpointError(
            f"{name}: format version {found}, but this bertx reads up to {FORMAT_VERSION}; use a newer bertx"
        )
    return RunFiles(folder, _read_json(folder / "config.json", name), environment, unpacked)


def _read_json(path: Path, name: Path) -> dict[str, JSON]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{name}: {path.name} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{name}: {path.name} should hold an object")
    return value


def pack(folder: Path, include: Sequence[str] = ()) -> Path:
    """Writes `model.tar.gz` of a run folder into it.

    Args:
        folder: The run folder.
        include: Patterns, relative to the folder, of further files.
    """
    names = {*PARTS, *(part for part in OPTIONAL_PARTS if (folder / part).exists())}
    for pattern in include:
        found = {path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.is_file()}
        if not found:
            logger.warning("include_in_archive: no file in %s matches %r", folder, pattern)
        names |= found
    # Weights hardly shrink; the lowest level of compression takes a third of the time of the usual one.
    with (
        replacing(folder / ARCHIVE) as temporary,
        tarfile.open(temporary, "w:gz", compresslevel=1) as archive,
    ):
        for name in sorted(names):
            archive.add(folder / name, arcname=name)
    return folder / ARCHIVE


def unpack(archive: Path, target: Path) -> None:
    """Unpacks a `model.tar.gz` into an empty folder; nothing is ever written outside it.

    Raises:
        CheckpointError: It is no such archive, is cut short, or holds what no run has: links, devices, paths
            that lead elsewhere, names that stand twice, or far more data than its size explains.
    """
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in _safe_members(opened, archive):
                destination = target / member.name
                destination.parent.mkdir(parents=True, exist_ok=True)
                source = opened.extractfile(member)
                if source is None:
                    raise CheckpointError(f"{archive}: {member.name!r} has no contents")
                with source, destination.open("xb") as file:
                    while block := source.read(2**20):
                        file.write(block)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(f"{archive}: not a readable .tar.gz ({error}); it may be cut short") from None


def _safe_members(opened: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    """Yields regular files one by one, so that a bomb is found before it is unpacked."""
    allowed = max(FREE_BYTES, min(MAX_UNPACKED_BYTES, MAX_RATIO * archive.stat().st_size))
    seen: set[str] = set()
    unpacked_bytes = 0
    for number, member in enumerate(opened):
        unpacked_bytes += member.size
        if number >= MAX_MEMBERS or unpacked_bytes > allowed:
            raise CheckpointError(f"{archive}: refused: it unpacks to far more than a run can hold")
        path = PurePosixPath(member.name)
        parts = path.parts
        if (
            path.is_absolute()
            or ".." in parts
            or "\\" in member.name
            or ":" in member.name
            or "\0" in member.name
        ):
            raise CheckpointError(f"{archive}: refused: {member.name!r} leads out of the archive")
        if member.isdir():
            continue
        if not member.isfile():
            raise CheckpointError(f"{archive}: refused: {member.name!r} is a link or device, not a file")
        folded = path.as_posix().casefold()
        if folded in seen:
            raise CheckpointError(f"{archive}: refused: {member.name!r} stands in it twice")
        seen.add(folded)
        yield member


def write_environment(folder: Path, **more: JSON) -> None:
    """Writes `environment.json`."""
    write_json(folder / "environment.json", describe_environment(**more))
