"""The instances of a step whose numbers failed, written out for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from bertx.atomic import replacing
from bertx.data.encoded import NO_LABEL
from bertx.data.instance import JSON
from bertx.data.split import Split


def write_rows(split: Split, rows: Sequence[int], path: Path) -> None:
    """Writes instances as JSON lines: id, number in the data file, labels, and texts as the model sees them.

    Raises:
        DataError: The file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(b"".join(orjson.dumps(_described(split, row)) + b"\n" for row in rows))


def _described(split: Split, row: int) -> dict[str, JSON]:
    dataset = split.dataset
    line: dict[str, JSON] = {"id": dataset.identifier(row), "row": row}
    for name, by_indexer in dataset.texts.items():
        for indexer, indexed in by_indexer.items():
            ids = indexed.input_ids[indexed.offsets[row] : indexed.offsets[row + 1]].tolist()
            line[f"{name}.{indexer}"] = dataset.token_indexers[indexer].tokenizer.decode(ids)
    for name, column in dataset.labels.items():
        code = column.codes[row]
        line[name] = None if code == NO_LABEL else column.labels[code]
    return line
