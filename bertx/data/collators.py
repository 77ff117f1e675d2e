"""The family of collators: what is done to a padded batch before the model sees it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.config.registrable import Registrable
from bertx.data.batch import Inputs
from bertx.data.token_indexers.token_indexer import TokenIndexer
from bertx.errors import ConfigError

IGNORED_TARGET = -100
"""The target id of a token that is not to be predicted; `torch.nn.functional.cross_entropy` ignores it."""


class Collator(Registrable):
    """Changes a padded batch.

    Attributes:
        takes_labels: Whether the inputs are to have the label fields.
    """

    default_implementation = "padding"
    takes_labels: ClassVar[bool] = True

    @abstractmethod
    def collate(
        self,
        inputs: Inputs,
        generator: np.random.Generator,
        token_indexers: Mapping[str, TokenIndexer],
    ) -> Inputs:
        """Returns the inputs of the model.

        Args:
            inputs: Padded, as `Batch.inputs`.
            generator: The only source of randomness.
            token_indexers: What made the ids, by name.
        """


@Collator.register("padding")
class PaddingCollator(Collator):
    """Leaves the padded batch as it is."""

    def collate(
        self,
        inputs: Inputs,
        generator: np.random.Generator,
        token_indexers: Mapping[str, TokenIndexer],
    ) -> Inputs:
        """Returns the inputs."""
        return inputs


@dataclass(frozen=True)
class _Pieces:
    """What a mask has to know of a tokenizer's ids."""

    tokenizer: BertTokenizer
    is_special: npt.NDArray[np.bool_]  # (ids,)
    is_continuation: npt.NDArray[np.bool_]  # (ids,)
    regular_ids: npt.NDArray[np.int64]

    @classmethod
    def of(cls, tokenizer: BertTokenizer) -> _Pieces:
        is_special = np.zeros(tokenizer.vocab_size, np.bool_)
        is_special[tokenizer.all_special_ids] = True
        return cls(tokenizer, is_special, tokenizer.is_continuation, np.flatnonzero(~is_special))


@Collator.register("masked_language_model")
class MaskedLanguageModelCollator(Collator):
    """Hides some tokens and asks for them in `target_ids`.

    Of the chosen tokens 80 % become `[MASK]`, 10 % a random piece, 10 % stay. Special tokens are neither
    chosen nor drawn. At least one token of each row is chosen, if it has any. `target_ids`, int64,
    (batch, tokens), holds the original ids of the chosen tokens and -100 elsewhere. Labels are left out.

    Source: Devlin et al. 2019 (BERT), section 3.1 and appendix A.1; whole words as in the README of the
    BERT release of May 31st, 2019. Each token, or word, is chosen independently as in Liu et al. 2019.

    Args:
        mlm_probability: How likely a token, or word, is chosen.
        whole_words: Choose words, with all their pieces, instead of single pieces.
        mask_probability: How likely a chosen token becomes `[MASK]`.
        random_probability: How likely a chosen token becomes a random piece.
        field_name: The text field.
        index: The token indexer; `None`: the first.
    """

    takes_labels: ClassVar[bool] = False

    def __init__(
        self,
        mlm_probability: float = 0.15,
        whole_words: bool = False,
        mask_probability: float = 0.8,
        random_probability: float = 0.1,
        field_name: str = "tokens",
        index: str | None = None,
    ) -> None:
        if not 0 < mlm_probability <= 1:
            raise ConfigError(f"mlm_probability: is {mlm_probability}; expected more than 0 and at most 1")
        if min(mask_probability, random_probability) < 0 or mask_probability + random_probability > 1:
            raise ConfigError(
                f"mask_probability, random_probability: are {mask_probability} and {random_probability}; "
                f"expected neither below 0 nor a sum above 1"
            )
        self.mlm_probability = mlm_probability
        self.whole_words = whole_words
        self.mask_probability = mask_probability
        self.random_probability = random_probability
        self.field_name = field_name
        self.index = index
        self._pieces: _Pieces | None = None

    def collate(
        self,
        inputs: Inputs,
        generator: np.random.Generator,
        token_indexers: Mapping[str, TokenIndexer],
    ) -> Inputs:
        """Returns the text fields with tokens hidden, and `target_ids`; the given inputs stay as they are."""
        by_indexer = inputs.get(self.field_name)
        index = self.index or next(iter(token_indexers))
        if not isinstance(by_indexer, dict) or index not in by_indexer:
            raise ConfigError(
                f"field_name, index: the data has no text field {self.field_name!r} with indexer {index!r}; "
                f"it has the fields {', '.join(inputs)} and the indexers {', '.join(token_indexers)}"
            )
        pieces = self._pieces_of(token_indexers[index].tokenizer)
        input_ids = by_indexer[index]["input_ids"].numpy()  # (batch, tokens)
        candidates = by_indexer[index]["attention_mask"].numpy() & ~pieces.is_special[input_ids]
        chosen = self._choose(input_ids, candidates, generator, pieces)
        hidden = torch.from_numpy(self._hide(input_ids, chosen, generator, pieces))
        target_ids = torch.from_numpy(np.where(chosen, input_ids, IGNORED_TARGET))
        tensors = {**by_indexer[index], "input_ids": hidden}
        return {**inputs, self.field_name: {**by_indexer, index: tensors}, "target_ids": target_ids}

    def _choose(
        self,
        input_ids: npt.NDArray[np.int64],
        candidates: npt.NDArray[np.bool_],
        generator: np.random.Generator,
        pieces: _Pieces,
    ) -> npt.NDArray[np.bool_]:
        draws = generator.random(input_ids.shape)
        if self.whole_words:  # all pieces of a word share the draw of its first
            words = np.cumsum(~pieces.is_continuation[input_ids], axis=1)  # (batch, tokens)
            draws = np.take_along_axis(draws, np.maximum(words - 1, 0), axis=1)
        draws[~candidates] = np.inf
        least = draws.min(axis=1, keepdims=True, initial=np.inf)  # (batch, 1)
        chosen: npt.NDArray[np.bool_] = candidates & ((draws < self.mlm_probability) | (draws == least))
        return chosen

    def _hide(
        self,
        input_ids: npt.NDArray[np.int64],
        chosen: npt.NDArray[np.bool_],
        generator: np.random.Generator,
        pieces: _Pieces,
    ) -> npt.NDArray[np.int64]:
        originals = input_ids[chosen]  # (chosen tokens,)
        draws = generator.random(len(originals))
        replacements = generator.choice(pieces.regular_ids, len(originals))
        masked = draws < self.mask_probability
        kept = draws >= self.mask_probability + self.random_probability
        hidden = input_ids.copy()
        hidden[chosen] = np.select([masked, kept], [pieces.tokenizer.mask_token_id, originals], replacements)
        return hidden

    def _pieces_of(self, tokenizer: BertTokenizer) -> _Pieces:
        """Remembers the tables of the last tokenizer: they take longer than a batch."""
        if self._pieces is None or self._pieces.tokenizer is not tokenizer:
            self._pieces = _Pieces.of(tokenizer)
        return self._pieces
