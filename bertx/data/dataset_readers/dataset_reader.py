"""The family of dataset readers: from files to instances."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bertx.config.registrable import Registrable
from bertx.config.suggestions import did_you_mean
from bertx.data.instance import JSON, Instance
from bertx.data.token_indexers.token_indexer import TokenIndexer
from bertx.errors import ConfigError, DataError


class DatasetReader(Registrable):
    """Reads one file format.

    A reader of your own is one file: a registered subclass with `records` and `text_to_instance`.

    Args:
        token_indexers: How texts become token ids, by the name under which a model asks for them.

    Attributes:
        text_key: The key of a record that holds its (first) text.
        label_key: The key of a record that holds its label; `None` if the format has no labels.

    Raises:
        ConfigError: `token_indexers` is empty.
    """

    text_key: str = "text"
    label_key: str | None = None

    def __init__(self, token_indexers: dict[str, TokenIndexer]) -> None:
        if not token_indexers:
            raise ConfigError(
                "token_indexers: is empty; expected at least one, such as "
                '{bert: {type: "bert-pretrained", pretrained_model: ...}}'
            )
        self.token_indexers = token_indexers

    @abstractmethod
    def records(self, path: Path) -> Iterator[tuple[str, dict[str, JSON]]]:
        """Streams the records of a file, each with its place (`data.jsonl:17`) for messages.

        Raises:
            DataError: A line is not a record.
        """

    @abstractmethod
    def text_to_instance(self, record: Mapping[str, JSON]) -> Instance:
        """Makes an instance of a record; the label may be absent.

        Raises:
            ValueError: The record lacks a key or holds a value of the wrong type; `read` adds the place.
        """

    def read(self, path: Path, *, labels_required: bool = True) -> Iterator[Instance]:
        """Streams the instances of a file.

        Args:
            path: What the reader reads: mostly a file.
            labels_required: Refuse a record without a label, as training and evaluation must; prediction
                does not. Readers whose `label_key` is `None` have no labels to require.

        Raises:
            DataError: The file cannot be read, or a record is wrong; the message names file and line.
        """
        for place, record in self.records(path):
            if labels_required and self.label_key is not None and record.get(self.label_key) in (None, ""):
                raise DataError(f"{place}: {self._label_is_missing(self.label_key, record)}")
            yield self.instance(place, record)

    def instance(self, place: str, record: Mapping[str, JSON]) -> Instance:
        """Makes an instance of a record that stands at `place`.

        Raises:
            DataError: The record is wrong; the message begins with `place`.
        """
        try:
            return self.text_to_instance(record)
        except KeyError as error:
            # The plain `record["text"]` of a user's reader; any other KeyError is a bug and stays one.
            if error.args and error.args[0] not in record:
                raise DataError(f"{place}: {missing(str(error.args[0]), record)}") from error
            raise
        except ValueError as error:
            raise DataError(f"{place}: {error}") from error

    def files(self, path: Path) -> list[Path]:
        """Lists the files that `records` would read, for the cache's key."""
        return [path]

    @property
    def inner(self) -> Sequence[DatasetReader]:
        """The readers that this one reads with, whose code decides what it reads."""
        return ()

    def _label_is_missing(self, label_key: str, record: Mapping[str, JSON]) -> str:
        needed = f"every line of a labelled file needs {self.text_key} and {label_key}"
        if label_key in record:
            return f'"{label_key}" is {"null" if record[label_key] is None else "empty"}; {needed}'
        return f"{missing(label_key, record)}; {needed}"


def missing(key: str, record: Mapping[str, JSON]) -> str:
    """Words the complaint about a key that a record lacks, with the key that was meant if one is close."""
    return f'"{key}" is missing{did_you_mean(key, record)}'
