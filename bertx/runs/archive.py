"""The run folder, and `model.tar.gz` which holds the same for travelling.

A run folder holds all that evaluating and predicting need: nothing is fetched and no file outside is read.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from bertx.atomic import not_writable
from bertx.data.instance import JSON
from bertx.errors import CheckpointError, UsageError
from bertx.runs.environment import FORMAT_VERSION
from bertx.tar_gz import pack, unpack

logger = logging.getLogger(__name__)

ARCHIVE = "model.tar.gz"
LOG = "out.log"
WEIGHTS = "best/model.safetensors"
ADAPTER = "adapter"  # LoRA's updates, for the library peft
PARTS = ("config.json", "environment.json", "vocabulary", "encoder", WEIGHTS)
OPTIONAL_PARTS = ("config.jsonnet", "metrics.json", ADAPTER)


def require_free(folder: Path) -> None:
    """Checks that a run folder can be made: that nothing is there, or an empty folder.

    Raises:
        UsageError: There is something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder}: exists and is not empty; choose another folder with -s, "
            "or add --force to move the old one aside"
        )


def claim_run_folder(folder: Path, *, force: bool) -> None:
    """Makes an empty run folder, with an empty log that marks it as taken.

    Args:
        folder: Where.
        force: Whether to move an existing one aside, to `folder.old-1` and so on; nothing is deleted.

    Raises:
        UsageError: There is something, and `force` was not given; or the folder cannot be made.
    """
    try:
        if force:
            _move_aside(folder)
        require_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOG).touch(exist_ok=False)
    except FileExistsError:
        raise UsageError(f"{folder}: another run has just begun there; choose another folder") from None
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be made ({error.strerror}); choose another folder with -s"
        ) from None


@contextmanager
def sole_trainer(folder: Path) -> Iterator[None]:
    """Keeps other processes from training in a folder at the same time; a killed one holds it no longer.

    Where the system or the disk knows no such locks, nothing is kept from anybody.

    Raises:
        UsageError: Another process trains there.
        DataError: The log, which is what is locked, cannot be written.
    """
    try:
        log = (folder / LOG).open("ab")
    except OSError as error:
        raise not_writable(folder / LOG, error) from None
    with log as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{folder}: another process is training there; wait for its end, or choose another folder"
            ) from None
        except (ImportError, OSError):
            logger.info("%s: cannot be locked; do not train there twice at the same time", folder)
        yield


def _move_aside(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    place = Path(os.path.abspath(folder))  # `.` has no name of its own
    number = 1
    while (aside := place.with_name(f"{place.name}.old-{number}")).exists():
        number += 1
    os.replace(place, aside)
    logger.info("%s: moved to %s", folder, aside)


class RunFiles:
    """An open run folder or archive; an archive's files are there until it is closed.

    Args:
        folder: Where its files are.
        name: What to call it in messages: what the user opened.
        unpacked: Whether the folder was made for an archive, and is deleted with this object at the latest.

    Attributes:
        config: The resolved config.
        environment: What `environment.json` holds.
        is_unpacked: Whether the folder is that of an archive.

    Raises:
        CheckpointError: The folder is no run, or an incomplete, broken or later one.
    """

    def __init__(self, folder: Path, name: Path, *, unpacked: bool = False) -> None:
        self.folder, self.name, self.is_unpacked = folder, name, unpacked
        missing = [part for part in PARTS if not (folder / part).exists()]
        if missing:
            raise CheckpointError(
                f"{name}: not a finished run: {', '.join(missing)} missing; expected a folder that "
                f"`bertx train -s` wrote, or its {ARCHIVE}"
            )
        self.environment = _read_json(folder / "environment.json", name)
        found = self.environment.get("format_version")
        if not isinstance(found, int) or not 1 <= found <= FORMAT_VERSION:
            raise CheckpointError(
                f"{name}: format version {found}, but this bertx reads 1 to {FORMAT_VERSION}; "
                "use a newer bertx"
            )
        self.config = _read_json(folder / "config.json", name)
        self._delete = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True) if unpacked else None

    def close(self) -> None:
        """Deletes what was unpacked."""
        if self._delete is not None:
            self._delete()

    def __enter__(self) -> RunFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_run(path: Path) -> RunFiles:
    """Opens a run folder or a `model.tar.gz`.

    Raises:
        CheckpointError: It is neither, or is incomplete, broken, hostile, or of a later version.
    """
    if path.is_dir():
        return RunFiles(path, path)
    if not path.exists():
        raise CheckpointError(f"{path}: no such run folder or archive; the current folder is {Path.cwd()}")
    folder = Path(tempfile.mkdtemp(prefix="bertx-"))
    try:
        unpack(path, folder)
        return RunFiles(folder, path, unpacked=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _read_json(path: Path, name: Path) -> dict[str, JSON]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{name}: {path.name} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{name}: {path.name} holds no object; expected what bertx wrote")
    return value


def pack_run(folder: Path, include: Sequence[str] = ()) -> Path:
    """Writes `model.tar.gz` of a run folder into it.

    Args:
        folder: The run folder.
        include: Patterns, relative to the folder, of further files.
    """
    names = {*PARTS, *(part for part in OPTIONAL_PARTS if (folder / part).exists())}
    for pattern in include:
        found = {
            path.relative_to(folder).as_posix()
            for path in folder.glob(pattern)
            if path.is_file() and path.name != ARCHIVE
        }
        if not found:
            logger.warning("include_in_archive: no file in %s matches %r", folder, pattern)
        names |= found
    # A file inside a folder that is packed anyway would stand in the archive twice.
    names = {name for name in names if not any(str(above) in names for above in Path(name).parents)}
    pack(folder, names, folder / ARCHIVE)
    return folder / ARCHIVE
