"""CRC-32C: the published values, and the lanes against one byte after the other."""

from __future__ import annotations

import numpy as np
import pytest

from bertx.bert.checkpoints.tensorflow_crc32c import crc32c, masked_crc32c


# Source: RFC 3720, appendix B.4, and the check value of the CRC catalogue.
@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_published_values(data, checksum):
    assert crc32c(data) == checksum


def one_by_one(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("size", [1, 3, 4, 5, 255, 511, 512, 513, 1023, 2048, 4099, 70_001])
def test_lanes_give_what_one_byte_after_the_other_gives(size):
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    assert crc32c(data) == one_by_one(data.tobytes())


def test_the_mask_rotates_and_adds():
    assert masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
