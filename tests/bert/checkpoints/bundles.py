"""Writes TensorFlow's checkpoint files for tests, also wrong ones; one block, no shared prefixes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bertx.bert.checkpoints.tensorflow_crc32c import masked_crc32c

MAGIC = 0xDB4775248B80FB57


def varint(number: int) -> bytes:
    octets = b""
    while number > 127:
        octets += bytes([number & 127 | 128])
        number >>= 7
    return octets + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def header(num_shards: int = 1, endianness: int = 0) -> bytes:
    return field(1, num_shards) + field(2, endianness)


def entry(array: np.ndarray, offset: int, *, dtype: int = 1, size: int | None = None) -> bytes:
    shape = b"".join(field(2, field(1, length)) for length in array.shape)
    checksum = varint(6 << 3 | 5) + struct.pack("<I", masked_crc32c(array.tobytes()))
    return (
        field(1, dtype)
        + field(2, shape)
        + field(4, offset)
        + field(5, array.nbytes if size is None else size)
        + checksum
    )


def block(pairs: Mapping[bytes, bytes]) -> bytes:
    content = b""
    for key, value in pairs.items():
        content += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    return content + struct.pack("<II", 0, 1)


def table(pairs: Mapping[bytes, bytes], *, compression: int = 0, magic: int = MAGIC) -> bytes:
    def placed(content: bytes) -> tuple[bytes, int]:
        nonlocal file
        start = len(file)
        kind = bytes([compression])
        file += content + kind + struct.pack("<I", masked_crc32c(content + kind))
        return varint(start) + varint(len(content)), start

    file = b""
    data, _ = placed(block(pairs))
    statistics, _ = placed(block({}))
    index, _ = placed(block({b"~": data}))
    return file + (statistics + index).ljust(40, b"\0") + struct.pack("<Q", magic)


def write(index: Path, arrays: Mapping[str, np.ndarray], **extra: bytes) -> Path:
    """Writes a checkpoint of float32 arrays; `extra` are entries to put in, ready made."""
    data, pairs = b"", {b"": header()}
    for name, array in sorted(arrays.items()):
        pairs[name.encode()] = entry(array, len(data))
        data += array.tobytes()
    pairs |= {name.encode(): value for name, value in extra.items()}
    index.write_bytes(table(pairs))
    index.with_suffix(".data-00000-of-00001").write_bytes(data)
    return index
