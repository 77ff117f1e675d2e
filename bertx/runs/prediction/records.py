"""The input of a prediction: records with their places, one by one, and in windows."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson

from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.files import decoded, open_bytes, parse_record, raw_lines, shown
from bertx.data.instance import JSON

LARGEST_WINDOW = 8_192  # records that are in memory at one time
FIRST_WINDOW = 32  # small, then doubled: the first results come at once
FIRST_OF_A_FILE = 1_024  # nobody waits for them, and in larger windows less is padding
WINDOW_BYTES = 2**24  # ends a window of very long records early


class Item(NamedTuple):
    """One input record.

    Attributes:
        name: What the input is called, such as `input.jsonl`; or the whole place if a reader made the record.
        number: The number of the line, from 1.
        line: The line as it is; empty if a reader made the record.
        made: The record that a reader made; None for a line, which is parsed later.
    """

    name: str
    number: int
    line: bytes
    made: Mapping[str, JSON] | None = None

    @property
    def place(self) -> str:
        """Where the record stands, such as `input.jsonl:17`."""
        return self.name if self.made is not None else f"{self.name}:{self.number}"

    def content(self) -> bytes:
        """Gives what tells this record from others."""
        return self.line if self.made is None else orjson.dumps(self.made)

    def record(self) -> Mapping[str, JSON]:
        """Gives the record.

        Raises:
            DataError: The line is not a JSON object in UTF-8.
        """
        if self.made is not None:
            return self.made
        try:
            record = orjson.loads(self.line)
        except orjson.JSONDecodeError:
            record = None
        if isinstance(record, dict):
            return record
        # Only now in words: most lines are good.
        return parse_record(decoded(self.line, self.name, self.number), self.place)


def items_of(source: Path | None, reader: DatasetReader | None) -> Iterator[Item]:
    """Streams the records of an input; blank lines are skipped.

    Args:
        source: The input; None: standard input.
        reader: What reads it; None: it is JSONL.

    Raises:
        DataError: The input cannot be read.
    """
    if source is None:
        yield from _lines(sys.stdin.buffer, "standard input")
    elif reader is None:
        with open_bytes(source) as stream:
            yield from _lines(stream, shown(source))
    else:
        for number, (place, record) in enumerate(reader.records(source), start=1):
            yield Item(place, number, b"", record)


def _lines(stream: BinaryIO, name: str) -> Iterator[Item]:
    for number, line in raw_lines(stream, name):
        if line and not line.isspace():
            yield Item(name, number, line)


def part_of(items: Iterator[Item], shard: tuple[int, int], total: int) -> Iterator[Item]:
    """Gives the i-th (from 1) of n parts, of which none has more than one record more than another."""
    number, parts = shard
    return islice(items, total * (number - 1) // parts, total * number // parts)


def windows(items: Iterator[Item], first: int, done: int = 0) -> Iterator[list[Item]]:
    """Cuts records into windows of `first` and more, the `done` first ones of which were predicted before.

    Where a window ends depends on the records before it alone, so that a prediction that goes on computes
    the same batches as one that was never interrupted.
    """
    size = min(first << min(done, 30), LARGEST_WINDOW)
    while True:
        window: list[Item] = []
        num_bytes = 0
        for item in islice(items, size):
            window.append(item)
            num_bytes += len(item.line)
            if num_bytes > WINDOW_BYTES:
                break
        if not window:
            return
        yield window
        size = min(size * 2, LARGEST_WINDOW)
