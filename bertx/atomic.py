"""Files and folders that are there whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bertx.errors import DataError, UsageError

# The second is what safetensors writes to.
LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<mark>old|[0-9a-f]{12})\.part|\.tmp[0-9A-Za-z]{6}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`, which takes its place when the block ends without an error.

    Raises:
        DataError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        require_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        usual_mode = temporary.stat().st_mode
    except OSError as error:
        raise not_writable(path, error) from None
    try:
        yield temporary
        temporary.chmod(usual_mode)  # some libraries put a private file of their own in its place
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is not None and Path(os.fsdecode(error.filename)) != temporary:
            raise  # another file that the block reads
        raise not_writable(path, error) from error
    finally:
        with suppress(OSError):  # `remove_leftovers` does it
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary folder beside `path`, which becomes `path` when the block ends without an error.

    Raises:
        UsageError: There is something at `path`; an empty folder is nothing.
        DataError: The folder cannot be made.
    """
    require_no_folder(path)
    place = Path(os.path.abspath(path))  # `.` has no name of its own
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(6)}.part")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise not_writable(path, error) from None
    try:
        yield temporary
        require_no_folder(path)
        if place.exists():
            place.rmdir()
        os.replace(temporary, place)
    except OSError as error:
        if error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(temporary):
            raise  # another file that the block reads
        raise not_writable(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Deletes what a program that was killed while it wrote left below a folder.

    What it was about to replace, and had moved aside, takes its old place again.
    """
    found = [(path, LEFTOVER.fullmatch(path.name)) for path in folder.rglob(".*")]
    for path, match in found:
        if match is None:
            continue
        if match["mark"] == "old" and not path.with_name(match["name"]).exists():
            os.replace(path, path.with_name(match["name"]))
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Waits until a file, or the list of a folder's files, is on the disk and outlives a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = str(path)
        # Windows cannot flush a folder, and some network disks cannot either.
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.EACCES, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def require_no_folder(path: Path) -> None:
    """Checks that a folder can be made: that nothing is there, or an empty folder.

    Raises:
        UsageError: There is something.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path}: is there already; choose another folder, or move this one away")


def require_replaceable(path: Path) -> None:
    """Checks that a path is free or a file; a device such as `/dev/null` must not be replaced by a file.

    Raises:
        DataError: It is a folder, a device or a pipe.
    """
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a device or a pipe"
        raise DataError(f"{path}: is {what}; expected the name of a file to write")


def not_writable(path: Path, error: OSError) -> DataError:
    """Words the complaint about a file that cannot be written."""
    return DataError(f"{path}: cannot be written ({error.strerror or error}); choose another place")


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file with Unix line ends."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: object) -> None:
    """Writes indented JSON; NaN and infinities are written as such, as Python's reader takes them."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
