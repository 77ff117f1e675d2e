"""Labelled texts in tables: CSV and TSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bertx.config.suggestions import did_you_mean
from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.dataset_readers.text_classification_reader import TextClassificationReader
from bertx.data.files import open_lines, shown, uncompressed_suffix
from bertx.data.instance import JSON
from bertx.data.token_indexers.token_indexer import TokenIndexer
from bertx.errors import ConfigError, DataError

Column = str | int
DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}


@DatasetReader.register("text_classification_csv")
class TextClassificationCsvReader(TextClassificationReader):
    """Reads tables with a text, or a pair of texts, and a label in each row.

    Columns are given all by the names in the header or all by number, counted from 0. With names, records
    have the header's keys; with numbers, the keys `text`, `label`, `pair` and `id`. An empty
    label is no label.

    Args:
        token_indexers: How texts become token ids, by the name under which a model asks for them.
        text_column: The column of the text.
        label_column: The column of the label. A file without it has no labels, which prediction allows.
        pair_column: The column of the second text; `None`: single texts.
        id_column: The column of the id that predictions repeat; `None`: no ids.
        delimiter: One character; `None`: a comma for `.csv`, a tab for `.tsv`, also if compressed.
        quoting: Whether double quotes enclose cells, as in spreadsheets. In the TSV files of GLUE
            quotes are plain characters: they need false.
        header: Whether the first row is a header; `None`: it is if columns are given by name.

    Raises:
        ConfigError: Names and numbers are mixed, or names are given with `header` false, or the delimiter
            is not one character.
    """

    def __init__(
        self,
        token_indexers: dict[str, TokenIndexer],
        *,
        text_column: str | int = "text",
        label_column: str | int = "label",
        pair_column: str | int | None = None,
        id_column: str | int | None = None,
        delimiter: str | None = None,
        quoting: bool = True,
        header: bool | None = None,
    ) -> None:
        given = {"text": text_column, "label": label_column, "pair": pair_column, "id": id_column}
        self.columns: dict[str, Column] = {
            role: column for role, column in given.items() if column is not None
        }
        self.has_names = _are_names(self.columns)
        if self.has_names and header is False:
            raise ConfigError("header: false, but columns are given by name; give their numbers, from 0")
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ConfigError(f"delimiter: {delimiter!r} must be one character, such as ',' or a tab")
        keys = {role: str(column) if self.has_names else role for role, column in self.columns.items()}
        super().__init__(
            token_indexers,
            text_key=keys["text"],
            label_key=keys["label"],
            pair_key=keys.get("pair"),
            id_key=keys.get("id"),
        )
        self.delimiter = delimiter
        self.quoting = quoting
        self.header = self.has_names if header is None else header

    def records(self, path: Path) -> Iterator[tuple[str, dict[str, JSON]]]:
        """Streams the rows, each with its place: the line on which it begins.

        Raises:
            DataError: The file cannot be read, a column does not exist, a row has more or fewer cells than
                the first, a quote is never closed, or there is a NUL character.
        """
        name = shown(path)
        rows = self._rows(path, name)
        keys: dict[str, int] | None = None
        for number, cells in rows:
            if keys is None:
                keys, width = self._positions(cells, f"{name}:{number}"), len(cells)
                if self.header:
                    continue
            if len(cells) != width:
                raise DataError(
                    f"{name}:{number}: {_counted(len(cells))}, expected {width}{self._quote_advice()}"
                )
            yield f"{name}:{number}", {key: cells[position] for key, position in keys.items()}

    def _rows(self, path: Path, name: str) -> Iterator[tuple[int, Sequence[str]]]:
        """Streams the cells of each row that is not blank, with the number of its first line."""
        delimiter = self.delimiter or DELIMITERS.get(uncompressed_suffix(path))
        if delimiter is None:
            raise DataError(
                f"{name}: the name does not end in .csv or .tsv; set delimiter of the dataset reader"
            )
        lines = _without_nul(open_lines(path), name)
        if self.quoting:
            yield from _quoted_rows(lines, delimiter, name)
            return
        for number, line in lines:
            if line:
                yield number, line.split(delimiter)

    def _positions(self, cells: Sequence[str], place: str) -> dict[str, int]:
        """Finds the position of the cell of each key of a record; the label's column may be absent."""
        for role, column in self.columns.items():
            if isinstance(column, str):
                _check_name(column, cells, place, may_lack=role == "label")
            elif not 0 <= column < len(cells) and role != "label":
                raise DataError(
                    f"{place}: no column {column} for {role}_column; the row has {_counted(len(cells))}, "
                    f"numbered from 0{self._quote_advice()}"
                )
        if self.has_names:
            return {name: position for position, name in enumerate(cells)}
        return {role: int(column) for role, column in self.columns.items() if 0 <= int(column) < len(cells)}

    def _label_is_missing(self, label_key: str, record: Mapping[str, JSON]) -> str:
        if label_key in record:
            return super()._label_is_missing(label_key, record)
        column = json.dumps(self.columns["label"])
        hint = did_you_mean(label_key, record) if self.has_names else ""
        return f"no column {column} for the label{hint}; every row of a labelled file needs one"

    def _quote_advice(self) -> str:
        if self.quoting:
            return "; if quotes are plain characters in this file, set quoting to false"
        return "; if cells are enclosed in quotes in this file, set quoting to true"


def _check_name(column: str, header: Sequence[str], place: str, *, may_lack: bool) -> None:
    if column not in header and not may_lack:
        hint = did_you_mean(column, header)
        raise DataError(f'{place}: no column "{column}"{hint}; the header has: {", ".join(header)}')
    if header.count(column) > 1:
        raise DataError(f'{place}: {header.count(column)} columns are called "{column}"; rename all but one')


def _are_names(columns: dict[str, Column]) -> bool:
    names = [column for column in columns.values() if isinstance(column, str)]
    if names and len(names) < len(columns):
        given = ", ".join(f"{role}_column {column!r}" for role, column in columns.items())
        raise ConfigError(
            f"columns are given by name and by number ({given}); give all by name or all by number"
        )
    return bool(names)


def _quoted_rows(
    lines: Iterator[tuple[int, str]], delimiter: str, name: str
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for _, line in lines), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(_quote_problem(str(error), f"{name}:{number}")) from error
        if cells is None:
            return
        if cells:
            yield number, cells


def _quote_problem(error: str, place: str) -> str:
    advice = "if quotes are plain characters in this file, set quoting to false"
    # A quote that is never closed ends with the file, or earlier at the longest cell that csv allows.
    if "unexpected end" in error or "field larger" in error:
        return (
            f"{place}: a quote is opened and never closed (or its cell is over 131,072 characters); {advice}"
        )
    return f"{place}: a quoted cell goes on after its closing quote ({error}); {advice}"


def _without_nul(lines: Iterator[tuple[int, str]], name: str) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if "\0" in line:
            raise DataError(
                f"{name}:{number}: a NUL character; text has none: the file is damaged or not text"
            )
        yield number, line


def _counted(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
