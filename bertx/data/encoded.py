"""One split of the data as arrays: token ids end to end, label codes, metadata.

An `EncodedDataset` looks the same whether its arrays lie in memory or are mapped from the files of the cache.
Labels are kept as strings with codes of their own, so that one cache serves every Vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import orjson

from bertx.data.instance import JSON
from bertx.data.token_indexers.token_indexer import Indexed, Ints, TokenIndexer
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError

NO_LABEL = -1
"""The code of a row that has no label."""

UNSEEN_LABEL = -100
"""The label id of a label that the Vocabulary does not have, or of a row without label: the index that
`torch.nn.functional.cross_entropy` ignores."""


@dataclass(frozen=True)
class LabelColumn:
    """The labels of one field.

    Attributes:
        codes: int32, (rows,): indices into `labels`, or `NO_LABEL`.
        labels: The distinct labels, in first-seen order.
        namespace: The namespace of the Vocabulary that numbers them.
    """

    codes: Ints
    labels: Sequence[str]
    namespace: str


@dataclass(frozen=True)
class MetadataColumn:
    """The metadata of one field, as JSON text.

    Attributes:
        text: uint8, (bytes of all rows together,): UTF-8.
        offsets: int64, (rows + 1,); a row without metadata has no bytes.
    """

    text: Ints
    offsets: Ints

    def __getitem__(self, row: int) -> JSON:
        """Parses the metadata of a row; `None` if it has none."""
        text = self.text[self.offsets[row] : self.offsets[row + 1]].tobytes()
        value: JSON = orjson.loads(text) if text else None
        return value


@dataclass(frozen=True, eq=False)
class EncodedDataset:
    """One split, immutable.

    Attributes:
        num_rows: The number of instances.
        texts: The token ids, by name of the text field, then of the token indexer.
        labels: By name of the label field; a field that no row has is absent.
        metadata: By name of the metadata field.
        token_indexers: What made the ids, by name.
    """

    num_rows: int
    texts: Mapping[str, Mapping[str, Indexed]]
    labels: Mapping[str, LabelColumn] = field(default_factory=dict)
    metadata: Mapping[str, MetadataColumn] = field(default_factory=dict)
    token_indexers: Mapping[str, TokenIndexer] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.num_rows

    def lengths(self, fields: Iterable[str] | None = None) -> npt.NDArray[np.int64]:
        """Counts the tokens of each row.

        Args:
            fields: Text fields, of which the longest counts; `None`: all.

        Returns:
            int64, (rows,): in the longest field, by the token indexer that gives the most.

        Raises:
            ConfigError: There is no such text field.
        """
        longest = np.zeros(self.num_rows, np.int64)
        for name in self.texts if fields is None else fields:
            if name not in self.texts:
                raise ConfigError(
                    f"sorting_keys: the data has no text field {name!r}; it has: {', '.join(self.texts)}"
                )
            for indexed in self.texts[name].values():
                np.maximum(longest, np.diff(indexed.offsets), out=longest)
        return longest

    def longest(self, index: str) -> int:
        """Returns the most tokens that a token indexer gave any text; 0 without texts."""
        return max((texts[index].longest for texts in self.texts.values() if index in texts), default=0)

    def counts(self) -> dict[str, dict[str, int]]:
        """Counts the labels, by namespace, in first-seen order: what a Vocabulary is made of."""
        total: dict[str, dict[str, int]] = {}
        for column in self.labels.values():
            namespace = total.setdefault(column.namespace, {})
            times = np.bincount(column.codes[column.codes != NO_LABEL], minlength=len(column.labels))
            for label, count in zip(column.labels, times.tolist(), strict=True):
                namespace[label] = namespace.get(label, 0) + count
        return total

    def label_ids(
        self, name: str, vocabulary: Vocabulary, rows: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.int64]:
        """Numbers the labels of a field by a Vocabulary.

        Args:
            name: The label field.
            vocabulary: Numbers the labels.
            rows: int64, (rows,): which; `None`: all.

        Returns:
            int64, (rows,): `UNSEEN_LABEL` where the vocabulary lacks the label or the row has none.
        """
        column = self.labels[name]
        codes = column.codes if rows is None else column.codes[rows]
        indices = vocabulary.get_token_to_index_vocabulary(column.namespace)
        unseen = indices.get(vocabulary.oov_token, UNSEEN_LABEL)
        ids = [indices.get(label, unseen) for label in column.labels]
        return np.array([*ids, UNSEEN_LABEL], np.int64)[codes]  # NO_LABEL, -1, takes the last

    def identifier(self, row: int) -> str:
        """Names a row: the `id` of its metadata, or else its number, counted from 0."""
        for column in self.metadata.values():
            value = column[row]
            if isinstance(value, dict) and value.get("id") is not None:
                return str(value["id"])
        return str(row)

    def truncated(self, name: str, indexer: str) -> tuple[int, int]:
        """Counts the rows that were truncated, and the tokens they lost."""
        indexed = self.texts[name][indexer]
        lost = indexed.full_lengths - np.diff(indexed.offsets)
        return int(np.count_nonzero(lost)), int(lost.sum())
