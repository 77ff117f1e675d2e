"""Claims on runs: who holds one makes the run, and nobody else does.

A claim is a lock on a file that the system holds for a process, so that one that is killed, or whose machine
goes down, holds it no longer; nothing has to be tidied up, and no claim can outlive its owner. On disks that
several machines share, it holds for all of them, as far as the disk knows locks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

from bertx.atomic import not_writable

logger = logging.getLogger(__name__)


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Claims what a file stands for while the block runs; gives whether that was possible.

    Where the system knows no locks it always is.

    Raises:
        DataError: The file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise not_writable(path, error) from None
    with file:  # never deleted: another process may be about to lock it
        yield _locked(file)


def is_claimed(path: Path) -> bool:
    """Tells whether somebody holds a claim at this moment."""
    if not path.exists():
        return False
    with claimed(path) as free:
        return not free


def _locked(file: BufferedRandom) -> bool:
    """Locks a file until it is closed; False if another has it."""
    try:
        import fcntl
    except ImportError:
        return _locked_on_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        logger.info("%s: cannot be locked; do not run the study twice at the same time", file.name)
    return True


def _locked_on_windows(file: BufferedRandom) -> bool:
    try:
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # there only
    except OSError:
        return False
    return True
