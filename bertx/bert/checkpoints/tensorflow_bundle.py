"""Reading TensorFlow's checkpoints (`NAME.index` with `NAME.data-00000-of-00001`) without TensorFlow.

The index is a sorted table of LevelDB's format: blocks of keys that share prefixes, an index of the blocks,
and a footer that tells where that is. Each key is the name of a variable, each value a `BundleEntryProto`
that tells where in the data files its bytes are; the empty key holds a `BundleHeaderProto`. All blocks and
all tensors carry a checksum, and all that are read are checked.

Source: `tensor_bundle.proto` and the table format in the sources of TensorFlow and LevelDB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bertx.bert.checkpoints.tensorflow_crc32c import masked_crc32c
from bertx.errors import CheckpointError

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
TRAILER_BYTES = 5  # of a block: how it is compressed, and its checksum
MAX_SHARDS = 10_000

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers

# `DataType` in types.proto; other types hold no weights.
BFLOAT16 = 14
DTYPES: Mapping[int, str] = {1: "<f4", 2: "<f8", 19: "<f2", BFLOAT16: "<i2"}


@dataclass
class Entry:
    """Where a tensor is: the fields of a `BundleEntryProto`."""

    dtype: int = 0
    shape: list[int] = field(default_factory=list)
    shard: int = 0
    offset: int = 0
    size: int = 0
    checksum: int = 0
    is_sliced: bool = False


class Bundle:
    """An opened checkpoint.

    Args:
        index: The file `NAME.index`.

    Attributes:
        entries: Where each tensor is, by its name.

    Raises:
        CheckpointError: The index is damaged, or not in a format that is read here.
    """

    def __init__(self, index: Path) -> None:
        self.index = index
        try:
            values = dict(_table(index.read_bytes()))
            self._num_shards = _num_shards(values.pop(b""))
            # A key that begins with zero is that of a slice, which is refused by the name of the whole.
            whole = {key: value for key, value in values.items() if not key.startswith(b"\0")}
            self.entries = {key.decode("utf-8"): _entry(value) for key, value in whole.items()}
        except OSError as error:
            raise CheckpointError(f"{index}: cannot be read ({error.strerror})") from None
        except (ValueError, IndexError, KeyError, struct.error) as error:
            reason = f": {error}" if type(error) is ValueError else ""
            raise CheckpointError(
                f"{index}: not a readable index of a TensorFlow checkpoint{reason}; fetch it again"
            ) from None

    def tensor(self, name: str) -> Tensor:
        """Reads one tensor of floating-point numbers.

        Raises:
            CheckpointError: Its file is missing, cut short or damaged; it holds no floating-point numbers.
        """
        entry = self.entries[name]
        path = self.index.with_suffix(f".data-{entry.shard:05}-of-{self._num_shards:05}")
        if entry.dtype not in DTYPES or entry.is_sliced:
            what = "is saved in slices" if entry.is_sliced else "holds no floating-point numbers"
            raise CheckpointError(
                f"{self.index}: {name} {what}; expected whole weights, as Google saved them"
            )
        dtype = np.dtype(DTYPES[entry.dtype])
        if entry.size != dtype.itemsize * int(np.prod(entry.shape, dtype=object)):
            raise CheckpointError(f"{self.index}: {name} has {entry.size} bytes for shape {entry.shape}")
        try:
            with path.open("rb") as file:
                if path.stat().st_size < entry.offset + entry.size:
                    raise CheckpointError(f"{path}: cut short: {name} ends beyond it; fetch it again")
                octets = np.fromfile(file, dtype=np.uint8, count=entry.size, offset=entry.offset)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror}); fetch all files") from None
        if masked_crc32c(octets) != entry.checksum:
            raise CheckpointError(f"{path}: the bytes of {name} are damaged (wrong checksum); fetch it again")
        tensor = torch.from_numpy(octets.view(dtype).reshape(entry.shape))
        return tensor.view(torch.bfloat16) if entry.dtype == BFLOAT16 else tensor


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a sorted table."""
    footer = content[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ValueError("it is cut short, or something else")
    _, place = _handle(footer, 0)  # what comes first is a block of statistics
    (offset, size), _ = _handle(footer, place)
    for _, handle in _block(content, offset, size):
        (offset, size), _ = _handle(handle, 0)
        yield from _block(content, offset, size)


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    block = content[offset : offset + size]
    trailer = content[offset + size : offset + size + TRAILER_BYTES]
    compression, checksum = struct.unpack("<BI", trailer)
    if masked_crc32c(block + trailer[:1]) != checksum:
        raise ValueError("wrong checksum")
    if compression:
        raise ValueError("its blocks are compressed, which TensorFlow's own checkpoints never are")
    end = len(block) - 4 * (1 + struct.unpack("<I", block[-4:])[0])  # of the entries: restart points follow
    key, place = b"", 0
    while place < end:
        shared, place = _varint(block, place)
        added, place = _varint(block, place)
        length, place = _varint(block, place)
        if place + added + length > end or shared > len(key):
            raise ValueError("an entry leads out of its block")
        key = key[:shared] + block[place : place + added]
        place += added
        yield key, block[place : place + length]
        place += length


def _handle(content: bytes, place: int) -> tuple[tuple[int, int], int]:
    offset, place = _varint(content, place)
    size, place = _varint(content, place)
    return (offset, size), place


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Returns a number of 7 bits per byte, and where it ends."""
    number = 0
    for shift in range(0, 64, 7):
        octet = content[place]
        place += 1
        number |= (octet & 127) << shift
        if octet < 128:
            return number, place
    raise ValueError("a number is too long")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields the fields of a protocol buffer by their numbers."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        value: int | bytes
        if tag & 7 == VARINT:
            value, place = _varint(message, place)
        else:
            if tag & 7 == BYTES:
                length, place = _varint(message, place)
            else:
                length = {FIXED64: 8, FIXED32: 4}[tag & 7]
            value = message[place : place + length]
            if len(value) < length:
                raise ValueError("a field is cut short")
            place += length
        yield tag >> 3, value


def _num_shards(header: bytes) -> int:
    fields = dict(_fields(header))
    if fields.get(2, 0):
        raise ValueError("it was written on a big-endian machine")
    number = _number(fields.get(1, 0))
    if not 0 < number <= MAX_SHARDS:
        raise ValueError(f"it names {number} data files")
    return number


def _entry(message: bytes) -> Entry:
    entry = Entry()
    for number, value in _fields(message):
        if number == 2:
            entry.shape = [_size(dimension) for key, dimension in _fields(_bytes(value)) if key == 2]
        elif number == 6:
            entry.checksum = struct.unpack("<I", _bytes(value))[0]
        elif number == 7:
            entry.is_sliced = True
        elif number in (1, 3, 4, 5):
            setattr(entry, {1: "dtype", 3: "shard", 4: "offset", 5: "size"}[number], _number(value))
    return entry


def _size(dimension: int | bytes) -> int:
    size = _number(dict(_fields(_bytes(dimension))).get(1, 0))
    if size >= 2**63:
        raise ValueError("a tensor has an unknown size")
    return size


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("a field has the wrong type")
    return value


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field has the wrong type")
    return value
