"""Rows of JSONL data: read, drawn and written, so that two systems train on the same ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

Row = Mapping[str, str]


def read_rows(path: Path) -> list[Row]:
    """Reads a JSONL file."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def shuffled_rows(path: Path, number: int | None) -> list[Row]:
    """Returns the first rows of a file in the order of `random.Random(0).shuffle`; None: all."""
    rows = read_rows(path)
    random.Random(0).shuffle(rows)
    return rows[:number]


def write_rows(rows: Iterable[Mapping[str, object]], path: Path) -> Path:
    """Writes a JSONL file and returns its path."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return path
