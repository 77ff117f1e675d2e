"""The family of token indexers: from texts to token ids."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.config.registrable import Registrable

Ints = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Indexed:
    """The token ids of many texts, one after the other.

    Attributes:
        input_ids: int32, (tokens of all rows together,), `[CLS]` and `[SEP]` included.
        offsets: int64, (rows + 1,); row i is `input_ids[offsets[i]:offsets[i + 1]]`.
        first_lengths: int32, (rows,): the number of leading tokens of segment 0 (`[CLS]` A `[SEP]`); the
            others of the row are segment 1.
        full_lengths: int32, (rows,): the number of tokens that the row would have had without truncation.
    """

    input_ids: Ints
    offsets: Ints
    first_lengths: Ints
    full_lengths: Ints

    @cached_property
    def longest(self) -> int:
        """The most tokens of a row; 0 without rows."""
        return int(np.diff(self.offsets).max(initial=0))


class TokenIndexer(Registrable):
    """Turns texts into token ids, many at once.

    Attributes:
        tokenizer: The tokenizer whose ids it gives.
        truncation: How it shortens texts that are too long, for messages.
    """

    default_implementation = "bert-pretrained"
    tokenizer: BertTokenizer
    truncation: str = "truncated"

    @abstractmethod
    def index(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Indexed:
        """Encodes texts, or pairs of texts of equal number."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hashes all that changes the ids: tokenizer and options; the key of the cache of encoded data."""
