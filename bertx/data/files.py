"""Reading text files: compression, encoding, line numbers, and JSON records.

Every problem is a `DataError` that names the file and the line.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from bertx.config.suggestions import did_you_mean
from bertx.data.instance import JSON
from bertx.errors import DataError

_OPENERS: dict[str, Callable[[Path, str], object]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
COMPRESSIONS = tuple(_OPENERS)
ARCHIVES = (".tar", ".tgz", ".tbz2", ".txz", *(f".tar{suffix}" for suffix in COMPRESSIONS))
LONGEST_LINE = 100_000_000  # bytes; a longer one is a file without lines, and would fill the memory
_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
# bz2 and gzip raise plain OSErrors for broken data, and EOFError for data that stops short.
_BROKEN = (EOFError, OSError, lzma.LZMAError, tarfile.TarError, zlib.error)
_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def shown(path: Path) -> str:
    """Writes a path as briefly as messages can: relative to the working directory if it lies inside."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix() or "."
    except (ValueError, OSError):
        return str(path)


def kind_of(value: JSON) -> str:
    """Names the JSON type of a value, for messages: `a list`, `null`."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")  # Python callers may pass anything


def uncompressed_suffix(path: Path) -> str:
    """Returns the lower-case suffix of a name without its compression: `a.TSV.gz` gives `.tsv`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def require(path: Path) -> None:
    """Checks that a path exists.

    Raises:
        DataError: It does not; similar names in the same folder are suggested.
    """
    if path.exists():
        return
    if path.parent.is_dir():
        suggestion = did_you_mean(path.name, sorted(entry.name for entry in path.parent.iterdir()))
        raise DataError(f"{shown(path)}: does not exist{suggestion or '; check the path'}")
    raise DataError(f"{shown(path)}: does not exist, nor does its folder; check the path")


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for reading, decompressed if its name ends in `.gz`, `.bz2` or `.xz`.

    Raises:
        DataError: The file does not exist, is a folder, or may not be read.
    """
    require(path)
    if path.is_dir():
        raise DataError(f"{shown(path)}: is a folder; expected a file")
    opener = _OPENERS.get(path.suffix.lower(), open)
    try:
        stream = cast(BinaryIO, opener(path, "rb"))
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be opened ({error.strerror or error})") from error
    with stream:
        yield stream


def open_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Streams the lines of a text file with their numbers, from 1, without line ends.

    Lines end at LF or CR LF; a byte order mark at the start is dropped.

    Raises:
        DataError: The file cannot be opened or decompressed, is not UTF-8, or has a line over 100 MB.
    """
    with open_bytes(path) as stream:
        yield from numbered_lines(stream, shown(path))


def numbered_lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """Streams the lines of an open file, as `open_lines` does.

    Args:
        stream: Standard input, a member of an archive, any binary file.
        name: What messages call it.

    Raises:
        DataError: As `open_lines`.
    """
    for number, line in raw_lines(stream, name):
        yield number, decoded(line, name, number)


def raw_lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Streams the lines of an open file as bytes, without line ends; otherwise as `numbered_lines`.

    Raises:
        DataError: The file cannot be decompressed, or has a line over 100 MB.
    """
    number = 0
    while line := _next_line(stream, name, number + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        yield number, line.removesuffix(b"\n").removesuffix(b"\r")


def decoded(line: bytes, name: str, number: int) -> str:
    """Decodes a line.

    Raises:
        DataError: It is not UTF-8.
    """
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(line, error.start, name, number) from error


def is_archive(path: Path) -> bool:
    """Says whether a name is that of a tar archive."""
    return path.name.lower().endswith(ARCHIVES)


def archive_members(path: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Streams the regular files of a tar archive, with their names; nothing is written to disk.

    Each file can be read only until the next is asked for. Links, devices and folders are passed over.

    Raises:
        DataError: The archive does not exist, is none, or is damaged.
    """
    require(path)
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                if member.isreg() and (content := archive.extractfile(member)) is not None:
                    yield member.name.removeprefix("./"), cast(BinaryIO, content)
    except _BROKEN as error:
        raise DataError(
            f"{shown(path)}: cannot be read as a tar archive ({error}); it is damaged or incomplete"
        ) from error


def read_records(path: Path) -> Iterator[tuple[str, dict[str, JSON]]]:
    """Streams the records of a JSONL file, each with its place (`data.jsonl:17`); blank lines are skipped.

    Raises:
        DataError: As `open_lines`, or a line is not a JSON object.
    """
    name = shown(path)
    for number, line in open_lines(path):
        if line and not line.isspace():
            place = f"{name}:{number}"
            yield place, parse_record(line, place)


def parse_record(line: str, place: str) -> dict[str, JSON]:
    """Reads one line of JSONL.

    Args:
        line: The text of the line.
        place: Where it stands, such as `data.jsonl:17`, for messages.

    Raises:
        DataError: It is not JSON, or not an object.
    """
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON ({error.msg}, column {error.colno}){_advice(line)}") from error
    if not isinstance(record, dict):
        raise DataError(f"{place}: not a JSON object (found {kind_of(record)})")
    return record


def _next_line(stream: BinaryIO, name: str, number: int) -> bytes:
    try:
        line = stream.readline(LONGEST_LINE + 1)
    except _BROKEN as error:
        raise DataError(
            f"{name}:{number}: the file cannot be read from here on ({error}); "
            "it is damaged or incomplete: copy or download it again"
        ) from error
    if len(line) > LONGEST_LINE:
        raise DataError(f"{name}:{number}: the line is over 100 MB; expected one record or sentence per line")
    return line


def _not_utf8(line: bytes, offset: int, name: str, number: int) -> DataError:
    is_utf16 = number == 1 and line.startswith(_UTF16_BOMS)
    encoding = "UTF-16" if is_utf16 else "LATIN1"
    seen = "looks like UTF-16" if is_utf16 else f"byte 0x{line[offset]:02x} at offset {offset} is not UTF-8"
    file = name.rpartition("/")[2]
    return DataError(
        f"{name}:{number}: {seen}; text must be UTF-8; convert the file, "
        f"e.g. iconv -f {encoding} -t UTF-8 {file} > {file}.utf8"
    )


def _advice(line: str) -> str:
    if "NaN" in line or "Infinity" in line:
        return "; JSON has no NaN or Infinity: write null or leave the key out"
    if line.lstrip() in ("{", "["):
        return "; expected one whole JSON object per line, not an object or list spread over lines"
    return '; expected one JSON object per line, such as {"text": "...", "label": "..."}'
