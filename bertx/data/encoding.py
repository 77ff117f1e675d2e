"""From instances to arrays, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import orjson

from bertx.data.encoded import NO_LABEL, EncodedDataset, LabelColumn, MetadataColumn
from bertx.data.instance import Field, Instance, LabelField, MetadataField, TextField
from bertx.data.token_indexers.token_indexer import Indexed, TokenIndexer
from bertx.errors import DataError


def encode_instances(
    instances: Iterable[Instance], token_indexers: Mapping[str, TokenIndexer]
) -> EncodedDataset:
    """Encodes instances in memory.

    Args:
        instances: Of any number above 0.
        token_indexers: How texts become ids, by name.

    Raises:
        DataError: There are no instances, or they do not have the same text fields.
    """
    chunk = list(instances)
    if not chunk:
        raise DataError("there are no instances to encode; expected one or more")
    return ChunkEncoder(token_indexers).encode(chunk)


class ChunkEncoder:
    """Encodes the chunks of one data set; label codes and field names go on from chunk to chunk.

    Args:
        token_indexers: How texts become ids, by name.
    """

    def __init__(self, token_indexers: Mapping[str, TokenIndexer]) -> None:
        self._token_indexers = token_indexers
        self._kinds: dict[str, str] = {}
        self._codes: dict[str, dict[str, int]] = {}
        self._namespaces: dict[str, str] = {}
        self._rows = 0

    def encode(self, instances: Sequence[Instance]) -> EncodedDataset:
        """Encodes a chunk, one instance or more.

        Raises:
            DataError: An instance does not have the fields of the first one. Labels and metadata may be
                absent.
        """
        columns = self._columns(instances)
        texts, labels, metadata = {}, {}, {}
        for name, column in columns.items():
            kind = self._kinds[name]
            if kind in ("text", "pair of texts"):
                texts[name] = self._index(column, pairs=kind != "text")
            elif kind == "label":
                labels[name] = self._label_column(name, column)
            else:
                metadata[name] = _metadata_column(column)
        self._rows += len(instances)
        return EncodedDataset(len(instances), texts, labels, metadata, self._token_indexers)

    def _columns(self, instances: Sequence[Instance]) -> dict[str, list[Field | None]]:
        columns: dict[str, list[Field | None]] = {}
        for row, instance in enumerate(instances):
            for name, field in instance.fields.items():
                column = columns.setdefault(name, [])
                if len(column) < row:  # earlier rows lack it
                    column.extend([None] * (row - len(column)))
                column.append(field)
        for name, column in columns.items():
            column.extend([None] * (len(instances) - len(column)))
            first = next(field for field in column if field is not None)
            kind = self._kinds.get(name)
            if kind is None:
                if self._rows and isinstance(first, TextField):
                    raise self._mismatch(column.index(first), name, "no such field", _kind(first))
                self._kinds[name] = kind = _kind(first)
            self._check(name, column, kind)
        for name, kind in self._kinds.items():
            if name not in columns and "text" in kind:
                raise self._mismatch(0, name, kind, "no such field")
        return columns

    def _check(self, name: str, column: Sequence[Field | None], kind: str) -> None:
        optional = "text" not in kind
        for row, field in enumerate(column):
            if field is None:
                if not optional:
                    raise self._mismatch(row, name, kind, "no such field")
            elif _kind(field) != kind:
                raise self._mismatch(row, name, kind, _kind(field))

    def _mismatch(self, row: int, name: str, expected: str, found: str) -> DataError:
        return DataError(
            f"instance {self._rows + row} (counted from 0): field {name!r} is {found}, in those before it "
            f"{expected}; expected the same text fields in all"
        )

    def _index(self, column: Sequence[Field | None], pairs: bool) -> dict[str, Indexed]:
        fields = [field for field in column if isinstance(field, TextField)]
        first = [field.text for field in fields]
        second = [field.pair or "" for field in fields] if pairs else None
        return {name: indexer.index(first, second) for name, indexer in self._token_indexers.items()}

    def _label_column(self, name: str, column: Sequence[Field | None]) -> LabelColumn:
        known = self._codes.setdefault(name, {})
        codes = np.full(len(column), NO_LABEL, np.int32)
        for row, field in enumerate(column):
            if isinstance(field, LabelField):
                codes[row] = known.setdefault(field.label, len(known))
                namespace = self._namespaces.setdefault(name, field.label_namespace)
                if namespace != field.label_namespace:
                    raise self._mismatch(
                        row, name, f"namespace {namespace!r}", f"of namespace {field.label_namespace!r}"
                    )
        return LabelColumn(codes, list(known), self._namespaces[name])


def _kind(field: Field) -> str:
    if isinstance(field, TextField):
        return "text" if field.pair is None else "pair of texts"
    return "label" if isinstance(field, LabelField) else "metadata"


def _metadata_column(column: Sequence[Field | None]) -> MetadataColumn:
    texts = [orjson.dumps(field.metadata) if isinstance(field, MetadataField) else b"" for field in column]
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return MetadataColumn(np.frombuffer(b"".join(texts), np.uint8), offsets)
