"""Data sets made on the spot."""

from collections.abc import Sequence
from pathlib import Path

from bertx.data.cache import encode_file
from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.encoded import EncodedDataset
from bertx.data.encoding import encode_instances
from bertx.data.instance import Field, Instance, LabelField, MetadataField, TextField
from bertx.data.token_indexers.token_indexer import TokenIndexer
from bertx.data.vocabulary import Vocabulary

LINES = [
    '{"text": "a bx", "label": "x", "id": "k"}',
    '{"text": "c", "label": "y"}',
    '{"text": "d e", "label": "x"}',
]


def instance(
    text: str, label: str | None = None, *, pair: str | None = None, id: str | None = None
) -> Instance:
    fields: dict[str, Field] = {"tokens": TextField(text, pair)}
    if label is not None:
        fields["label"] = LabelField(label)
    if id is not None:
        fields["metadata"] = MetadataField({"id": id})
    return Instance(fields)


def of_lengths(lengths: Sequence[int], indexer: TokenIndexer) -> EncodedDataset:
    """A data set whose rows have these numbers of tokens, each 2 or more for [CLS] and [SEP]."""
    return encode_instances([instance("a " * (length - 2)) for length in lengths], {"bert": indexer})


def labels(*names: str) -> Vocabulary:
    return Vocabulary.from_instances({"labels": dict.fromkeys(names, 1)})


def encode(
    reader: DatasetReader,
    file: Path,
    cache: Path | None,
    *,
    settings_hash: str | None = "s",
    limit: int | None = None,
) -> EncodedDataset:
    return encode_file(reader, file, settings_hash=settings_hash, cache_folder=cache, limit=limit)


def everything(dataset: EncodedDataset) -> list:
    """All that a data set holds, as lists."""
    indexed = dataset.texts["tokens"]["bert"]
    arrays = [indexed.input_ids, indexed.offsets, indexed.first_lengths, indexed.full_lengths]
    rows = range(len(dataset))
    return [
        [array.tolist() for array in arrays],
        {name: (column.codes.tolist(), list(column.labels)) for name, column in dataset.labels.items()},
        [(dataset.identifier(row), [column[row] for column in dataset.metadata.values()]) for row in rows],
    ]
