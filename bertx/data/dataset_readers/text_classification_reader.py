"""What the readers of labelled texts and pairs of texts share."""

from __future__ import annotations

from collections.abc import Mapping

from bertx.data.dataset_readers.dataset_reader import DatasetReader, missing
from bertx.data.files import kind_of
from bertx.data.instance import JSON, Field, Instance, LabelField, MetadataField, TextField
from bertx.data.token_indexers.token_indexer import TokenIndexer


class TextClassificationReader(DatasetReader):
    """Makes an instance of a record with a text or two, perhaps a label, perhaps an id.

    Args:
        token_indexers: How texts become token ids, by the name under which a model asks for them.
        text_key: The key of the text; required in every record, an empty text is allowed.
        label_key: The key of the label: a string, a whole number (1 becomes `1`) or a boolean (spelt as in
            JSON: `true`). Null and the empty string count as no label.
        pair_key: The key of the second text; `None`: the records hold single texts.
        id_key: The key of the id, a string or whole number that predictions repeat; records may lack it.
    """

    def __init__(
        self,
        token_indexers: dict[str, TokenIndexer],
        *,
        text_key: str = "text",
        label_key: str = "label",
        pair_key: str | None = None,
        id_key: str | None = "id",
    ) -> None:
        super().__init__(token_indexers)
        self.text_key = text_key
        self.label_key: str = label_key
        self.pair_key = pair_key
        self.id_key = id_key

    def text_to_instance(self, record: Mapping[str, JSON]) -> Instance:
        """Makes an instance of a record; label and id may be absent.

        Raises:
            ValueError: A text is missing, or a value is of the wrong type.
        """
        pair = None if self.pair_key is None else text_of(record, self.pair_key)
        fields: dict[str, Field] = {"tokens": TextField(text_of(record, self.text_key), pair)}
        label = label_of(record, self.label_key)
        if label is not None:
            fields["label"] = LabelField(label)
        identifier = None if self.id_key is None else id_of(record, self.id_key)
        if identifier is not None:
            fields["metadata"] = MetadataField({"id": identifier})
        return Instance(fields)


def text_of(record: Mapping[str, JSON], key: str) -> str:
    """Returns the text under a key.

    Raises:
        ValueError: There is none, or it is not a string.
    """
    text = record.get(key)
    if isinstance(text, str):
        return text
    if key not in record:
        raise ValueError(missing(key, record))
    raise ValueError(f'"{key}" is {described(text)}; expected a string')


def label_of(record: Mapping[str, JSON], key: str) -> str | None:
    """Returns the label under a key as a string; `None` if it is absent, null or empty.

    Raises:
        ValueError: It is neither string, whole number nor boolean.
    """
    label = record.get(key)
    if isinstance(label, str):
        return label or None
    if label is None:
        return None
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, int):
        return str(label)
    raise ValueError(f'"{key}" is {described(label)}; expected a string, a whole number or a boolean')


def id_of(record: Mapping[str, JSON], key: str) -> str | int | None:
    """Returns the id under a key; `None` if it is absent or null.

    Raises:
        ValueError: It is neither string nor whole number.
    """
    identifier = record.get(key)
    if identifier is None or isinstance(identifier, str):
        return identifier
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        return identifier
    raise ValueError(f'"{key}" is {described(identifier)}; expected a string or a whole number')


def described(value: JSON) -> str:
    """Names the kind of a value, with the value where it is short: `a number (3.5)`."""
    return f"{kind_of(value)} ({value})" if isinstance(value, (bool, int, float)) else kind_of(value)
