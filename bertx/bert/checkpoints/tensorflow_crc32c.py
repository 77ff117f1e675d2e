"""CRC-32C, the checksum of TensorFlow's files, over whole tensors at once.

Source: Castagnoli et al. 1993 (the polynomial); the mask is that of TensorFlow's and LevelDB's formats.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

POLYNOMIAL = 0x82F63B78  # reversed: the lowest bit stands first
MASK_DELTA = 0xA282EAD8
MAX_LANES = 4096
WORDS_PER_LANE = 64  # fewer are not worth a lane


def masked_crc32c(data: NDArray[np.uint8] | bytes) -> int:
    """Returns the checksum as files hold it: rotated and shifted, since they checksum checksums again."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: NDArray[np.uint8] | bytes) -> int:
    """Returns the checksum of bytes.

    Most bytes are taken in lanes: equal pieces whose checksums advance side by side, one 32-bit word of each
    at a time, and are joined at the end.
    """
    octets = np.frombuffer(data, dtype=np.uint8)
    lanes = 1
    while lanes < MAX_LANES and lanes * 2 * WORDS_PER_LANE * 4 <= octets.size:
        lanes *= 2
    words_per_lane = octets.size // 4 // lanes
    in_lanes = lanes * words_per_lane * 4
    crc = 0xFFFFFFFF
    if words_per_lane:
        words = octets[:in_lanes].view("<u4").reshape(lanes, words_per_lane)
        crc = _joined(_lane_checksums(words), words_per_lane * 4) ^ _after_zeros(crc, in_lanes)
    table = _byte_table()
    for octet in octets[in_lanes:].tolist():
        crc = int(table[(crc ^ octet) & 255]) ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _lane_checksums(words: Words) -> Words:
    low, high = _word_tables()
    crcs = np.zeros(words.shape[0], dtype=np.uint32)
    for column in range(words.shape[1]):
        crcs ^= words[:, column]
        crcs = low[crcs & 0xFFFF] ^ high[crcs >> 16]
    return crcs


def _joined(crcs: Words, num_bytes: int) -> int:
    """Joins the checksums of neighbours, each of so many bytes, until one is left."""
    while crcs.size > 1:
        crcs = _times(_zeros(num_bytes), crcs[0::2]) ^ crcs[1::2]
        num_bytes *= 2
    return int(crcs[0])


def _after_zeros(crc: int, num_bytes: int) -> int:
    return int(_times(_zeros(num_bytes), np.array([crc], dtype=np.uint32))[0])


def _zeros(num_bytes: int) -> Words:
    """Returns what so many zero bytes do to a checksum: a matrix of bits, uint32 (32,), one per column."""
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    result, power = bits, _byte_table()[bits & 255] ^ (bits >> 8)
    while num_bytes:
        if num_bytes & 1:
            result = _times(power, result)
        power = _times(power, power)
        num_bytes >>= 1
    return result


def _times(matrix: Words, vectors: Words) -> Words:
    """Multiplies a matrix of bits with each vector of bits, without carry."""
    product = np.zeros_like(vectors)
    for bit in range(32):
        product ^= np.where((vectors >> np.uint32(bit)) & 1, matrix[bit], np.uint32(0))
    return product


@cache
def _byte_table() -> Words:
    """Returns what the eight bits of each byte do to a checksum; uint32, (256,)."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1)
    return table


@cache
def _word_tables() -> tuple[Words, Words]:
    """Returns what the lower and the upper half of each 32-bit word do; uint32, (65536,) each."""
    tables = [_byte_table()]
    for _ in range(3):
        tables.append((tables[-1] >> 8) ^ tables[0][tables[-1] & 255])
    halves = np.arange(65536, dtype=np.uint32)
    low, high = halves & 255, halves >> 8
    return tables[3][low] ^ tables[2][high], tables[1][low] ^ tables[0][high]
