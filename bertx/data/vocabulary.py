"""Numbers for labels, as AllenNLP 2.10 gives them (`allennlp/data/vocabulary.py`).

The ids of word pieces are the tokenizer's own and are not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from bertx.config.registrable import Registrable, Runtime
from bertx.data.label_counts import Counts
from bertx.data.vocabulary_files import PATTERNS_FILE, matches, read_namespaces, read_patterns, write_files
from bertx.errors import ConfigError, DataError

PADDING_TOKEN, OOV_TOKEN = "@@PADDING@@", "@@UNKNOWN@@"
NON_PADDED_NAMESPACES = ("*tags", "*labels")
SHOWN_TOKENS = 20  # in an error message


class Vocabulary(Registrable):
    """Tokens and their indices, in namespaces.

    A padded namespace starts with padding and out-of-vocabulary; others, such as `labels`, start empty.

    Args:
        non_padded_namespaces: Names, or `*suffix` patterns, of the namespaces without these two tokens.
        padding_token: Index 0 of padded namespaces.
        oov_token: Index 1 of padded namespaces: what unseen tokens map to.
    """

    default_implementation = "from_instances"

    def __init__(
        self,
        non_padded_namespaces: Sequence[str] = NON_PADDED_NAMESPACES,
        *,
        padding_token: str = PADDING_TOKEN,
        oov_token: str = OOV_TOKEN,
    ) -> None:
        self.padding_token = padding_token
        self.oov_token = oov_token
        self._patterns = list(dict.fromkeys(non_padded_namespaces))
        self._tokens: dict[str, list[str]] = {}
        self._indices: dict[str, dict[str, int]] = {}

    @classmethod
    def from_instances(
        cls,
        counter: Runtime[Counts],
        min_count: dict[str, int] | None = None,
        max_vocab_size: int | dict[str, int] | None = None,
        non_padded_namespaces: Sequence[str] = NON_PADDED_NAMESPACES,
        tokens_to_add: dict[str, list[str]] | None = None,
        padding_token: str = PADDING_TOKEN,
        oov_token: str = OOV_TOKEN,
    ) -> Self:
        """Numbers what the data holds, the most frequent token first.

        Args:
            counter: The counts of the data, from `EncodedDataset.counts` or `count_labels`.
            min_count: Per namespace: leave out tokens seen less often.
            max_vocab_size: Keep only that many of the most frequent tokens, in every namespace or per
                namespace, not counting padding and out-of-vocabulary; `None` or 0: keep all.
            non_padded_namespaces: Names, or `*suffix` patterns, of namespaces without these two.
            tokens_to_add: Per namespace: tokens to have in any case, after the counted ones.
            padding_token: Index 0 of padded namespaces.
            oov_token: Index 1 of padded namespaces.

        Raises:
            ConfigError: `min_count` names a namespace that the data does not have.
        """
        vocabulary = cls(non_padded_namespaces, padding_token=padding_token, oov_token=oov_token)
        vocabulary._extend(counter, min_count or {}, max_vocab_size, tokens_to_add or {})
        return vocabulary

    @classmethod
    def from_files(
        cls, directory: Path, padding_token: str = PADDING_TOKEN, oov_token: str = OOV_TOKEN
    ) -> Self:
        """Reads a folder that `save_to_files`, or AllenNLP, wrote.

        Args:
            directory: The folder.
            padding_token: Index 0 of padded namespaces; the files leave it out.
            oov_token: The line of the files that stands for unseen tokens.

        Raises:
            DataError: The folder is no vocabulary, or a file of it is broken.
        """
        vocabulary = cls(read_patterns(directory), padding_token=padding_token, oov_token=oov_token)
        for namespace, tokens in read_namespaces(directory).items():
            padded = vocabulary.is_padded(namespace)
            if padded and oov_token not in tokens:
                raise DataError(
                    f"{directory / namespace}.txt: no line is {oov_token!r}, the out-of-vocabulary token; "
                    f"expected one, or {namespace!r} in {PATTERNS_FILE}; give the oov_token of the files"
                )
            vocabulary._set(namespace, [padding_token, *tokens] if padded else tokens)
        return vocabulary

    @classmethod
    def extend(
        cls,
        counter: Runtime[Counts],
        directory: Path,
        min_count: dict[str, int] | None = None,
        max_vocab_size: int | dict[str, int] | None = None,
        non_padded_namespaces: Sequence[str] = NON_PADDED_NAMESPACES,
        tokens_to_add: dict[str, list[str]] | None = None,
        padding_token: str = PADDING_TOKEN,
        oov_token: str = OOV_TOKEN,
    ) -> Self:
        """Reads a saved vocabulary and appends what the data has besides; old indices stay.

        Args:
            counter: The counts of the data, from `EncodedDataset.counts` or `count_labels`.
            directory: The folder of the saved vocabulary.
            min_count: As in `from_instances`, for the data's tokens; likewise the rest.
            max_vocab_size: How many of the data's tokens, per namespace.
            non_padded_namespaces: Added to those of the saved vocabulary.
            tokens_to_add: Per namespace: tokens to have in any case.
            padding_token: Index 0 of padded namespaces.
            oov_token: Index 1 of padded namespaces.

        Raises:
            DataError: The folder is no vocabulary, or a file of it is broken.
            ConfigError: A namespace is padded in the one and not in the other.
        """
        vocabulary = cls.from_files(directory, padding_token, oov_token)
        for namespace in vocabulary._tokens.keys() & (counter.keys() | (tokens_to_add or {}).keys()):
            padded = not matches(namespace, non_padded_namespaces)
            if padded != vocabulary.is_padded(namespace):
                saved, new = ("non-padded", "padded") if padded else ("padded", "non-padded")
                raise ConfigError(
                    f"non_padded_namespaces: {namespace!r} is {saved} in {directory} and {new} in "
                    f"the config; expected the same in both"
                )
        vocabulary._patterns = list(dict.fromkeys([*vocabulary._patterns, *non_padded_namespaces]))
        vocabulary._extend(counter, min_count or {}, max_vocab_size, tokens_to_add or {})
        return vocabulary

    @classmethod
    def empty(cls) -> Self:
        """Makes a vocabulary without looking at any data."""
        return cls()

    def add_token_to_namespace(self, token: str, namespace: str = "labels") -> int:
        """Gives a token the next free index, unless it has one, and returns its index.

        Raises:
            ValueError: The token is not a string.
        """
        if not isinstance(token, str):
            raise ValueError(f"a token must be a string, got {token!r}")
        self._create(namespace)
        indices = self._indices[namespace]
        if token not in indices:
            indices[token] = len(indices)
            self._tokens[namespace].append(token)
        return indices[token]

    def get_token_index(self, token: str, namespace: str = "labels") -> int:
        """Looks a token up; an unseen one has the index of the out-of-vocabulary token, if there is one.

        Raises:
            DataError: The token is unseen and the namespace has no out-of-vocabulary token.
        """
        indices = self.get_token_to_index_vocabulary(namespace)
        index = indices.get(token, indices.get(self.oov_token))
        if index is None:
            raise DataError(
                f"label {token!r} is not in the vocabulary ({namespace}: {_shown(list(indices))}); "
                f"it does not occur in the data that the vocabulary was made of"
            )
        return index

    def get_token_from_index(self, index: int, namespace: str = "labels") -> str:
        """Gives the token of an index.

        Raises:
            IndexError: There is no such index.
        """
        tokens = self._tokens.get(namespace, self._start(namespace))
        if not 0 <= index < len(tokens):
            raise IndexError(
                f"index {index} is not in namespace {namespace!r}, which has {len(tokens)} tokens"
            )
        return tokens[index]

    def get_vocab_size(self, namespace: str = "labels") -> int:
        """Counts the tokens of a namespace, padding and out-of-vocabulary included."""
        return len(self.get_token_to_index_vocabulary(namespace))

    def get_token_to_index_vocabulary(self, namespace: str = "labels") -> dict[str, int]:
        """Gives the indices of a namespace by token, in the order of the indices."""
        return self._indices.get(namespace) or _numbered(self._start(namespace))

    def get_index_to_token_vocabulary(self, namespace: str = "labels") -> dict[int, str]:
        """Gives the tokens of a namespace by index."""
        return {index: token for token, index in self.get_token_to_index_vocabulary(namespace).items()}

    def get_namespaces(self) -> set[str]:
        """Names the namespaces that have been filled."""
        return set(self._tokens)

    def is_padded(self, namespace: str) -> bool:
        """Tells whether a namespace starts with padding and out-of-vocabulary."""
        return not matches(namespace, self._patterns)

    def labels(self, namespace: str = "labels") -> list[str]:
        """Lists the tokens of a namespace that a model predicts, in the order of their indices.

        Raises:
            ConfigError: There is no such namespace, or nothing in it.
        """
        if not self._tokens.get(namespace):
            there = ", ".join(sorted(name for name, tokens in self._tokens.items() if tokens))
            raise ConfigError(
                f"vocabulary: there are no labels in namespace {namespace!r}; namespaces that have some: "
                f"{there or 'none'}; check that the data has labels, and the model's label_namespace"
            )
        return list(self._tokens[namespace])

    def statistics(self) -> str:
        """Describes each namespace in one line: its size and its first tokens."""
        items = self._tokens.items()
        return "\n".join(f"{name}: {len(tokens):,} tokens: {_shown(tokens)}" for name, tokens in items)

    def save_to_files(self, directory: Path) -> None:
        """Writes one file per namespace, and the patterns of non-padded ones, in AllenNLP's format.

        Raises:
            DataError: A namespace or token cannot be written so that it reads back the same, or the folder
                holds files that would be read back as further namespaces.
        """
        written = {name: tokens[self.is_padded(name) :] for name, tokens in self._tokens.items()}
        write_files(directory, self._patterns, written)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        mine, theirs = ((v.padding_token, v.oov_token, set(v._patterns), v._tokens) for v in (self, other))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]  # it changes, as a list does

    def __repr__(self) -> str:
        sizes = ", ".join(f"{namespace}: {len(tokens)}" for namespace, tokens in self._tokens.items())
        return f"Vocabulary({sizes})"

    def _start(self, namespace: str) -> list[str]:
        return [self.padding_token, self.oov_token] if self.is_padded(namespace) else []

    def _create(self, namespace: str) -> None:
        if namespace not in self._tokens:
            self._set(namespace, self._start(namespace))

    def _extend(
        self,
        counter: Counts,
        min_count: Mapping[str, int],
        max_vocab_size: int | Mapping[str, int] | None,
        tokens_to_add: Mapping[str, Sequence[str]],
    ) -> None:
        unknown = sorted(min_count.keys() - counter.keys())
        if unknown:
            raise ConfigError(
                f"min_count: the data has no namespace {unknown[0]!r}; it has: "
                f"{', '.join(sorted(counter)) or 'none'}"
            )
        for namespace, counts in counter.items():
            self._create(namespace)
            most = max_vocab_size.get(namespace) if isinstance(max_vocab_size, Mapping) else max_vocab_size
            by_count = sorted(counts.items(), key=lambda item: -item[1])  # stable: ties stay as first seen
            for token, count in by_count[: most or None]:  # the size cuts before the minimum does
                if count >= min_count.get(namespace, 1):
                    self.add_token_to_namespace(token, namespace)
        for namespace, tokens in tokens_to_add.items():
            for token in tokens:
                self.add_token_to_namespace(token, namespace)

    def _set(self, namespace: str, tokens: list[str]) -> None:
        self._tokens[namespace] = tokens
        self._indices[namespace] = _numbered(tokens)


def _shown(tokens: Sequence[str]) -> str:
    return ", ".join([*tokens[:SHOWN_TOKENS], *["..."][: len(tokens) > SHOWN_TOKENS]]) or "none"


def _numbered(tokens: Sequence[str]) -> dict[str, int]:
    return {token: index for index, token in enumerate(tokens)}


Vocabulary.register("from_instances")(Vocabulary.from_instances)
Vocabulary.register("from_files")(Vocabulary.from_files)
Vocabulary.register("extend")(Vocabulary.extend)
Vocabulary.register("empty")(Vocabulary.empty)
