"""What a tokenizer returns: named rows of numbers, and the way from tokens back to words and characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Encoding
from torch import Tensor

TensorType: TypeAlias = Literal["pt", "np"]
Span: TypeAlias = tuple[int, int]
Values: TypeAlias = Sequence[object] | Tensor | NDArray[np.int64]
"""A row, a list of rows, or the same as tensor or array; of numbers, in `offset_mapping` of pairs of them."""


class BatchEncoding(dict[str, Values]):
    """A dict of `input_ids`, `attention_mask` and so on; the keys are attributes as well.

    The methods about tokens, words and characters take the row first, and 0 if it is left out:
    `char_to_token(7)`, `char_to_token(row, 7)`. Words and characters of the second text of a pair are found
    with `sequence_index=1`.

    Args:
        values: By name, one row or a list of rows.
        encodings: The Rust library's record of each row; without it only the values are known.
    """

    def __init__(self, values: Mapping[str, Values], encodings: Sequence[Encoding] = ()) -> None:
        super().__init__(values)
        self._encodings = list(encodings)

    def __getattr__(self, name: str) -> Values:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r}; there are {', '.join(self)}") from None

    @property
    def encodings(self) -> list[Encoding]:
        """The Rust library's record of each row."""
        if not self._encodings:
            raise ValueError(
                "tokens, words and characters are only known of texts, not of ids that were padded"
            )
        return self._encodings

    def tokens(self, row: int = 0) -> list[str]:
        """Returns the tokens of a row."""
        return self.encodings[row].tokens

    def word_ids(self, row: int = 0) -> list[int | None]:
        """Returns for each token the number of its word; `None` for special tokens that were added."""
        return self.encodings[row].word_ids

    def sequence_ids(self, row: int = 0) -> list[int | None]:
        """Returns for each token 0 or 1, the text of the pair it is from; `None` for added special tokens."""
        return self.encodings[row].sequence_ids

    def token_to_sequence(self, row_or_token: int, token: int | None = None) -> int | None:
        """Finds out which text of the pair a token is from."""
        row, token = _row_and_place(row_or_token, token)
        return self.encodings[row].token_to_sequence(token)

    def token_to_word(self, row_or_token: int, token: int | None = None) -> int | None:
        """Returns the number of the word that a token is from."""
        row, token = _row_and_place(row_or_token, token)
        return self.encodings[row].token_to_word(token)

    def token_to_chars(self, row_or_token: int, token: int | None = None) -> Span | None:
        """Returns start and end, in the text, of the characters of a token."""
        row, token = _row_and_place(row_or_token, token)
        return self.encodings[row].token_to_chars(token)

    def char_to_token(self, row_or_char: int, char: int | None = None, sequence_index: int = 0) -> int | None:
        """Returns the place of the token that holds a character; `None` for white space."""
        row, char = _row_and_place(row_or_char, char)
        return self.encodings[row].char_to_token(char, sequence_index)

    def char_to_word(self, row_or_char: int, char: int | None = None, sequence_index: int = 0) -> int | None:
        """Returns the number of the word that holds a character; `None` for white space."""
        row, char = _row_and_place(row_or_char, char)
        return self.encodings[row].char_to_word(char, sequence_index)

    def word_to_tokens(
        self, row_or_word: int, word: int | None = None, sequence_index: int = 0
    ) -> Span | None:
        """Returns start and end of the tokens of a word."""
        row, word = _row_and_place(row_or_word, word)
        return self.encodings[row].word_to_tokens(word, sequence_index)

    def word_to_chars(
        self, row_or_word: int, word: int | None = None, sequence_index: int = 0
    ) -> Span | None:
        """Returns start and end, in the text, of the characters of a word."""
        row, word = _row_and_place(row_or_word, word)
        return self.encodings[row].word_to_chars(word, sequence_index)

    def tensors(self) -> dict[str, Tensor]:
        """Returns the same as a plain dict, known to hold tensors: `model(**batch.tensors())`.

        Raises:
            TypeError: A value is not a tensor.
        """
        tensors = {name: value for name, value in self.items() if isinstance(value, Tensor)}
        if lists := self.keys() - tensors.keys():
            raise TypeError(f"{min(lists)} is not a tensor; give return_tensors='pt'")
        return tensors

    def to(self, device: torch.device | str) -> BatchEncoding:
        """Moves the tensors to a device, in place."""
        for name, value in self.items():
            if isinstance(value, Tensor):
                self[name] = value.to(device)
        return self


def as_tensors(values: Mapping[str, Values], tensor_type: TensorType | None) -> dict[str, Values]:
    """Makes tensors or arrays, int64, of lists; `None` leaves the lists.

    Raises:
        ValueError: The rows of a value are not of one length.
    """
    if tensor_type is None:
        return dict(values)
    if tensor_type not in ("pt", "np"):
        raise ValueError(f"return_tensors is {tensor_type!r}; expected 'pt', 'np' or None")
    arrays = {name: _as_array(name, value) for name, value in values.items()}
    if tensor_type == "np":
        return dict(arrays)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _as_array(name: str, value: Values) -> NDArray[np.int64]:
    lengths = {len(row) for row in value if isinstance(row, list)}
    if len(lengths) > 1:
        raise ValueError(
            f"{name}: the rows have {min(lengths)} to {max(lengths)} tokens; a tensor needs rows of one "
            "length; give padding=True, and truncation=True with max_length where texts are long"
        )
    return np.asarray(value, dtype=np.int64)


def _row_and_place(row_or_place: int, place: int | None) -> Span:
    return (0, row_or_place) if place is None else (row_or_place, place)
