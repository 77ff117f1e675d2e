"""Data sets made on the spot."""

from collections.abc import Sequence

from bertx.data.encoded import EncodedDataset
from bertx.data.encoding import encode_instances
from bertx.data.instance import Field, Instance, LabelField, MetadataField, TextField
from bertx.data.token_indexers.token_indexer import TokenIndexer
from bertx.data.vocabulary import Vocabulary


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
