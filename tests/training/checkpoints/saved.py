"""Small checkpoints, and the ways in which a disk spoils them."""

from __future__ import annotations

from pathlib import Path

import torch

from bertx.training.checkpoints.folder import Checkpoint


def checkpoint(number: int = 0, size: int = 4) -> Checkpoint:
    """One that tells its number."""
    tensor = torch.full((size,), float(number))
    return Checkpoint({"weight": tensor}, {"number": number, "moment": tensor + 0.5})


def flip_bit(path: Path, position: int) -> None:
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position // 8] ^= 1 << (position % 8)
    path.write_bytes(content)
