"""KerasHub's `BertTokenizer`: word pieces without special tokens around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from bertx.bert.checkpoints.formats import read_tokenizer
from bertx.bert.encoders import Encoders
from bertx.bert.presets import PRESETS, Preset
from bertx.bert.tokenization import tokenizer as bert_tokenizer
from bertx.errors import DataError


class BertTokenizer:
    """Turns texts into ids of word pieces, and back.

    Args:
        vocabulary: The pieces in the order of their ids, or a file with one piece per line.
        lowercase: Fold case, as Unicode defines it: `ß` becomes `ss`.
        strip_accents: Remove accents.
        special_tokens_in_strings: Whether `[SEP]` in a text is the special token; if not, it is text.

    Attributes:
        tokenizer: The tokenizer of `bertx.bert` that does the work.

    Raises:
        DataError: The vocabulary is empty, has a piece twice, or lacks a special token.
    """

    presets: ClassVar[Mapping[str, Preset]] = PRESETS

    def __init__(
        self,
        vocabulary: Sequence[str] | str | Path,
        lowercase: bool = False,
        *,
        strip_accents: bool = False,
        special_tokens_in_strings: bool = False,
    ) -> None:
        self.tokenizer = bert_tokenizer.BertTokenizer(
            vocabulary if isinstance(vocabulary, str | Path) else _numbered(vocabulary),
            do_lower_case=lowercase,
            strip_accents=strip_accents,
            split_special_tokens=not special_tokens_in_strings,
            word_rules="keras_hub",
        )

    @classmethod
    def over(cls, tokenizer: bert_tokenizer.BertTokenizer) -> BertTokenizer:
        """Wraps a tokenizer of `bertx.bert`."""
        made = cls.__new__(cls)
        made.tokenizer = tokenizer
        return made

    @classmethod
    def from_preset(cls, preset: str | Path) -> BertTokenizer:
        """Reads the tokenizer of a preset; see `BertTextClassifier.from_preset`.

        Raises:
            CheckpointError: There is no such preset, it has no tokenizer, or its files are damaged.
        """
        return cls.over(read_tokenizer(Encoders().folder(str(preset))))

    def __call__(self, inputs: str | Sequence[str]) -> list[int] | list[list[int]]:
        """Returns the ids of a text, or a list of them for each of several texts."""
        return self.encode([inputs])[0] if isinstance(inputs, str) else self.encode(inputs)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text."""
        ids, offsets = self.tokenizer.encode_ragged(texts)
        return [ids[start:stop].tolist() for start, stop in pairwise(offsets)]

    def detokenize(self, ids: Sequence[int]) -> str:
        """Returns the text of ids; special tokens are left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def get_vocabulary(self) -> list[str]:
        """Returns the pieces in the order of their ids."""
        vocab = self.tokenizer.get_vocab()
        return sorted(vocab, key=vocab.__getitem__)

    def vocabulary_size(self) -> int:
        """Returns the number of pieces."""
        return len(self.tokenizer)

    def id_to_token(self, id: int) -> str:
        """Returns the piece of an id."""
        return self.tokenizer.convert_ids_to_tokens(id)

    def token_to_id(self, token: str) -> int:
        """Returns the id of a piece; that of `[UNK]` for what is none."""
        return self.tokenizer.convert_tokens_to_ids(token)


def _numbered(pieces: Sequence[str]) -> dict[str, int]:
    """Returns the ids of pieces.

    Raises:
        DataError: A piece stands twice.
    """
    vocab: dict[str, int] = {}
    for number, piece in enumerate(pieces):
        if piece in vocab:
            raise DataError(
                f"vocabulary: {piece!r} stands twice, as {vocab[piece]} and {number}; expected once"
            )
        vocab[piece] = number
    return vocab
