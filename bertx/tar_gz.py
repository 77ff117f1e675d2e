"""`.tar.gz` archives: written to tell nothing about this machine, read as if an enemy had written them."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from bertx.atomic import replacing
from bertx.errors import CheckpointError

MAX_MEMBERS = 10_000
MAX_UNPACKED_BYTES = 64 * 2**30
MAX_RATIO = 200  # weights shrink to no less than a tenth; what shrinks more is made to fill a disk
FREE_BYTES = 64 * 2**20  # below this the ratio does not matter
MAX_NAME_BYTES = 255  # of one part of a path, as on all common file systems
HEADER_BYTES = 2**20  # a header, its long name and the padding around it
BLOCK = 2**20


def pack(folder: Path, names: Iterable[str], archive: Path) -> None:
    """Writes an archive of files and folders.

    Args:
        folder: What the names are relative to.
        names: Files, and folders with all that is in them; links are followed.
        archive: The archive to write.

    Raises:
        DataError: The archive cannot be written.
    """
    # Weights hardly shrink; the lowest level of compression takes a third of the time of the usual one.
    with (
        replacing(archive) as temporary,
        tarfile.open(temporary, "w:gz", compresslevel=1, dereference=True) as opened,
    ):
        for name in sorted(set(names)):
            opened.add(folder / name, arcname=name, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Takes out who owns a file; keeps whether it may be run, nothing else of its mode."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


def unpack(archive: Path, target: Path) -> None:
    """Unpacks an archive into an empty folder; nothing is ever written outside it.

    Raises:
        CheckpointError: It is no such archive, is cut short, or holds what none of ours has: links, devices,
            paths that lead elsewhere, names that stand twice, or far more data than its size explains.
    """
    try:
        with gzip.open(archive) as stream:
            rationed = _Rationed(cast(BinaryIO, stream), archive)
            # As a stream: nothing is sought, so that every byte is counted.
            with tarfile.open(fileobj=rationed, mode="r|") as opened:
                for member in _safe_members(opened, archive, rationed):
                    _write(opened, member, target / member.name)
            rationed.ration(HEADER_BYTES)
            while rationed.read(BLOCK):
                pass  # the checksum stands at the end
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise CheckpointError(f"{archive}: not a readable .tar.gz ({error}); it may be cut short") from None


def _write(opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = opened.extractfile(member)
    assert source is not None  # only folders have none
    with source, path.open("xb") as file:
        while block := source.read(BLOCK):
            file.write(block)
        if file.tell() != member.size:
            raise EOFError(f"{member.name} ends too early")


def _safe_members(opened: tarfile.TarFile, archive: Path, rationed: _Rationed) -> Iterator[tarfile.TarInfo]:
    """Yields regular files one by one, so that a bomb is found before it is unpacked."""
    allowed = max(FREE_BYTES, min(MAX_UNPACKED_BYTES, MAX_RATIO * archive.stat().st_size))
    seen: set[str] = set()
    rationed.ration(HEADER_BYTES)
    for number, member in enumerate(opened):
        allowed -= member.size
        if number >= MAX_MEMBERS or allowed < 0:
            raise rationed.refusal()
        _check_name(member.name, archive)
        if not member.isdir():
            if not member.isfile():
                raise CheckpointError(f"{archive}: refused: {member.name!r} is a link or device, not a file")
            folded = PurePosixPath(member.name).as_posix().casefold()
            if folded in seen:
                raise CheckpointError(f"{archive}: refused: {member.name!r} stands in it twice")
            seen.add(folded)
            rationed.ration(member.size + HEADER_BYTES)
            yield member
        rationed.ration(HEADER_BYTES)


def _check_name(name: str, archive: Path) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(sign in name for sign in "\\:\0"):
        raise CheckpointError(f"{archive}: refused: {name!r} leads out of the archive")
    if any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in path.parts):
        raise CheckpointError(f"{archive}: refused: the name {name[:40]!r}... is too long")


class _Rationed(io.RawIOBase):
    """A stream that gives no more bytes than it was told to, however an archive was made."""

    def __init__(self, stream: BinaryIO, archive: Path) -> None:
        self._stream, self._archive, self._left = stream, archive, HEADER_BYTES

    def ration(self, number: int) -> None:
        """Allows so many bytes from here on."""
        self._left = number

    def refusal(self) -> CheckpointError:
        return CheckpointError(f"{self._archive}: refused: it unpacks to far more than a run can hold")

    def read(self, size: int = -1) -> bytes:
        """Reads some bytes; raises the refusal if they are more than allowed."""
        block = self._stream.read(min(BLOCK, size) if size >= 0 else BLOCK)
        self._left -= len(block)
        if self._left < 0:
            raise self.refusal()
        return block
