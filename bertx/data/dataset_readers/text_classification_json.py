"""Labelled texts, one JSON object per line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.dataset_readers.text_classification_reader import TextClassificationReader
from bertx.data.files import read_records
from bertx.data.instance import JSON


@DatasetReader.register("text_classification_json")
class TextClassificationJsonReader(TextClassificationReader):
    """Reads JSONL: `{"text": "a gripping film", "label": "positive", "id": "17"}` on each line.

    The file may be compressed (`.gz`, `.bz2`, `.xz`); blank lines are skipped.

    Args:
        token_indexers: How texts become token ids, by the name under which a model asks for them.
        text_key: The key of the text; required in every record, an empty text is allowed.
        label_key: The key of the label: a string, a whole number (1 becomes `1`) or a boolean (spelt as in
            JSON: `true`). Null and the empty string count as no label.
        pair_key: The key of the second text; `None`: the records hold single texts.
        id_key: The key of the id, a string or whole number that predictions repeat; records may lack it.
    """

    def records(self, path: Path) -> Iterator[tuple[str, dict[str, JSON]]]:
        """Streams the records, each with its place (`data.jsonl:17`).

        Raises:
            DataError: The file cannot be read, or a line is not a JSON object.
        """
        return read_records(path)
