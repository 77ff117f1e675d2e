"""The data sets that systems train on, and what bertx reads them with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.rows import Row, read_rows

if TYPE_CHECKING:
    from bertx.data.dataset_readers.dataset_reader import DatasetReader

MAX_PIECES = 128


@dataclass(frozen=True)
class Task:
    """A data set.

    Attributes:
        name: That of its folder, and of the config in `configs/`.
        text_keys: The keys of the text, or of both.
        label_key: The key of the label.
    """

    name: str
    text_keys: tuple[str, ...]
    label_key: str

    def texts(self, rows: Sequence[Row]) -> tuple[list[str], ...]:
        """Returns the texts of rows, one list for each key."""
        return tuple([row[key] for row in rows] for key in self.text_keys)

    def labels(self, rows: Sequence[Row]) -> list[str]:
        """Returns the labels that occur, sorted."""
        return sorted({row[self.label_key] for row in rows})

    def rows(self, path: Path, number: int | None = None) -> list[Row]:
        """Returns the first labelled rows of a file in the order of `random.Random(0).shuffle`; None: all."""
        rows = [row for row in read_rows(path) if row[self.label_key] != "-"]  # "-": SNLI's for no label
        random.Random(0).shuffle(rows)
        return rows[:number]


TASKS = {
    "sst2": Task("sst2", ("text",), "label"),
    "snli": Task("snli", ("sentence1", "sentence2"), "gold_label"),
}


def reader_of(task: str, encoder: str) -> DatasetReader:
    """Returns what bertx reads a task's files with."""
    from bertx.data.dataset_readers.snli import SnliReader
    from bertx.data.dataset_readers.text_classification_json import TextClassificationJsonReader
    from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer

    kind = {"sst2": TextClassificationJsonReader, "snli": SnliReader}[task]
    return kind({"bert": BertPretrainedIndexer(encoder, max_pieces=MAX_PIECES)})
