"""The tokens of a tokenizer and their ids, and the way back from ids to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer
from torch import Tensor

from bertx.bert.tokenization.rust_tokenizer import set_layout
from bertx.bert.tokenization.tokenizer_settings import ROLES

Ids: TypeAlias = Sequence[int] | Tensor | NDArray[np.integer]

EXTRA_ROLES = ("additional_special_tokens", "extra_special_tokens")  # of transformers 4 and 5


class TokenTable:
    """Tokens and ids; `BertTokenizer` adds the way from text to tokens.

    Args:
        rust: The tokenizer of the Rust library.
        roles: The special tokens by role.
        wordpieces_prefix: Marks a piece that continues a word.
        clean_up_tokenization_spaces: Whether decoded text is cleaned up.
    """

    unk_token: str
    sep_token: str
    pad_token: str
    cls_token: str
    mask_token: str
    unk_token_id: int
    sep_token_id: int
    pad_token_id: int
    cls_token_id: int
    mask_token_id: int
    pad_token_type_id = 0

    def __init__(
        self,
        rust: Tokenizer,
        roles: Mapping[str, str],
        *,
        wordpieces_prefix: str,
        clean_up_tokenization_spaces: bool,
    ) -> None:
        self._rust = rust
        self.wordpieces_prefix = wordpieces_prefix
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        for role, token in roles.items():
            self._assign(role, token)

    def __len__(self) -> int:
        return self.vocab_size

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included: the rows that the embedding needs."""
        return self._rust.get_vocab_size(with_added_tokens=True)

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens by role."""
        return {role: str(getattr(self, role)) for role in ROLES}

    @property
    def all_special_ids(self) -> list[int]:
        """Ids, ascending, of the five special tokens and of added tokens that are marked special."""
        roles = {self._id(token) for token in self.special_tokens_map.values()}
        return sorted(roles | {id_ for id_, token in self.added_tokens_decoder.items() if token.special})

    @property
    def all_special_tokens(self) -> list[str]:
        """The tokens of `all_special_ids`, in the order of those."""
        return self.convert_ids_to_tokens(self.all_special_ids)

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Tokens that are found in the raw text, special ones included, by id."""
        return dict(sorted(self._rust.get_added_tokens_decoder().items()))

    @property
    def is_continuation(self) -> NDArray[np.bool_]:
        """Bool, (vocab_size,): True for a piece that continues a word, for whole-word masking."""
        flags = np.zeros(self.vocab_size, dtype=np.bool_)
        for piece, id_ in self._rust.get_vocab(with_added_tokens=False).items():
            flags[id_] = piece.startswith(self.wordpieces_prefix)
        return flags

    def get_vocab(self) -> dict[str, int]:
        """Returns the id of every token, added ones included, in the order of the ids."""
        return dict(sorted(self._rust.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1]))

    def get_added_vocab(self) -> dict[str, int]:
        """Returns the ids of the tokens that are found in the raw text."""
        return {token.content: id_ for id_, token in self.added_tokens_decoder.items()}

    def add_tokens(
        self, tokens: str | AddedToken | Sequence[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Adds tokens that are found in the raw text and never cut; new ones get the next free ids.

        The embedding of a model then needs as many rows as `len(tokenizer)`.

        Args:
            tokens: A string follows the rules for case and accents, unless `special_tokens`.
            special_tokens: Whether they are left out of decoded text with `skip_special_tokens`.

        Returns:
            How many were not in the vocabulary.
        """
        several = [tokens] if isinstance(tokens, str | AddedToken) else list(tokens)
        size = self.vocab_size
        if special_tokens:
            self._rust.add_special_tokens(several)
        else:
            self._rust.add_tokens(several)
        return self.vocab_size - size

    def add_special_tokens(self, tokens: Mapping[str, str | AddedToken | Sequence[str | AddedToken]]) -> int:
        """Gives roles to tokens, and adds those that are new.

        Args:
            tokens: By role, e.g. `{"mask_token": "<mask>"}`; `additional_special_tokens` takes a list.

        Returns:
            How many were not in the vocabulary.

        Raises:
            ValueError: A role does not exist.
        """
        if unknown := set(tokens) - {*ROLES, *EXTRA_ROLES}:
            raise ValueError(f"there is no role {min(unknown)!r}; expected {', '.join(ROLES + EXTRA_ROLES)}")
        added = 0
        for role, several in tokens.items():
            added += self.add_tokens(several, special_tokens=True)
            if role in ROLES and isinstance(several, str | AddedToken):
                self._assign(role, str(several))
        set_layout(self._rust, self.cls_token, self.sep_token)
        return added

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...
    @overload
    def convert_tokens_to_ids(self, tokens: list[str] | tuple[str, ...]) -> list[int]: ...
    def convert_tokens_to_ids(self, tokens: str | list[str] | tuple[str, ...]) -> int | list[int]:
        """Looks up one token or several; a token that is not in the vocabulary gives `unk_token_id`."""
        if isinstance(tokens, str):
            return self._id(tokens)
        return [self._id(token) for token in tokens]

    @overload
    def convert_ids_to_tokens(self, ids: int, *, skip_special_tokens: bool = False) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Ids, *, skip_special_tokens: bool = False) -> list[str]: ...
    def convert_ids_to_tokens(self, ids: int | Ids, *, skip_special_tokens: bool = False) -> str | list[str]:
        """Looks up one id or several.

        Raises:
            ValueError: An id is not below `vocab_size`, or negative.
        """
        if isinstance(ids, int | np.integer):
            return self._token(int(ids))
        skipped = set(self.all_special_ids) if skip_special_tokens else set()
        return [self._token(id_) for id_ in _as_list(ids) if id_ not in skipped]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Joins pieces to text: `un ##want ##ed` gives `unwanted`."""
        return str(self._rust.decoder.decode(list(tokens)))

    def decode(
        self,
        ids: int | Ids,
        *,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """Joins pieces to text; white space, case and unknown words are lost.

        Args:
            ids: One row of ids, or one id.
            skip_special_tokens: Leave special tokens out.
            clean_up_tokenization_spaces: Close the gaps before `.`, `?`, `!`, `,` and in `do n't`, `it 's`;
                `None` does as the tokenizer was told.
        """
        row = [int(ids)] if isinstance(ids, int | np.integer) else _as_list(ids)
        text = str(self._rust.decode(row, skip_special_tokens=skip_special_tokens))
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        return clean_up(text) if clean_up_tokenization_spaces else text

    def batch_decode(
        self,
        rows: Sequence[Ids] | Tensor | NDArray[np.integer],
        *,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[str]:
        """Decodes several rows of ids; see `decode`."""
        return [
            self.decode(
                row,
                skip_special_tokens=skip_special_tokens,
                clean_up_tokenization_spaces=clean_up_tokenization_spaces,
            )
            for row in rows
        ]

    def _assign(self, role: str, token: str) -> None:
        setattr(self, role, token)
        setattr(self, f"{role}_id", self._rust.token_to_id(token))
        if role == "unk_token":
            model = self._rust.model
            model.unk_token = token

    def _id(self, token: str) -> int:
        id_ = self._rust.token_to_id(token)
        return self.unk_token_id if id_ is None else id_

    def _token(self, id_: int) -> str:
        token = self._rust.id_to_token(id_) if id_ >= 0 else None
        if token is None:
            raise ValueError(f"no token has the id {id_}; expected 0 to {self.vocab_size - 1}")
        return token


def clean_up(text: str) -> str:
    """Closes the gaps that joining tokens leaves before punctuation and in English contractions."""
    for mark in (" .", " ?", " !", " ,"):
        text = text.replace(mark, mark[1:])
    text = text.replace(" ' ", "'")
    for ending in (" n't", " 'm", " 's", " 've", " 're"):
        text = text.replace(ending, ending[1:])
    return text


def _as_list(ids: Ids) -> list[int]:
    return [int(id_) for id_ in (ids.tolist() if isinstance(ids, Tensor | np.ndarray) else ids)]
