"""Word pieces of a pretrained BERT, as `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from bertx.bert.encoders import Encoders
from bertx.bert.tokenization.ragged_encoding import RaggedIds
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.config.registrable import Runtime
from bertx.data.token_indexers.token_indexer import Indexed, Ints, TokenIndexer
from bertx.data.token_indexers.truncation import Kept, Truncation, kept_mask, truncate
from bertx.errors import ConfigError, DataError

SPECIALS_OF_TEXT = 2  # [CLS] A [SEP]
SPECIALS_OF_PAIR = 3  # [CLS] A [SEP] B [SEP]
# Part of the fingerprint: raise it when the same options begin to give other ids.
VERSION = 1


@TokenIndexer.register("bert-pretrained")
class BertPretrainedIndexer(TokenIndexer):
    """Encodes whole texts with the tokenizer of a pretrained BERT.

    A text becomes `[CLS] A [SEP]`, a pair `[CLS] A [SEP] B [SEP]`, of at most `max_pieces` pieces.

    Args:
        pretrained_model: A folder, a `vocab.txt` file, or a name on the Hugging Face hub.
        use_starting_offsets: Accepted for AllenNLP's configs. It only matters for fields made of words, as
            in tagging; the fields of today are whole texts, whose ids it does not change.
        do_lowercase: Lower-case the texts; `None` means as the encoder's files say, else True.
        never_lowercase: Special tokens such as `[MASK]` to leave as they are. They always are, so this
            changes nothing; another word is refused, since the tokenizer lower-cases it.
        max_pieces: Most pieces of a row, special tokens included; at least 3, for pairs at least 5.
        truncate_long_sequences: Shorten longer texts. False makes a longer text an error, so that none is
            cut unnoticed; AllenNLP's sliding windows over long texts are not offered.
        truncation: What is kept of a longer text: `head` the first pieces, `tail` the last, `head_tail` a
            quarter of `max_pieces` from the start and the rest from the end; these see a pair as one text.
            `longest_first` cuts the end of the longer text of a pair, and is `head` for single texts.
        encoders: Finds `pretrained_model`; `None` looks from the working directory.

    Raises:
        ConfigError: `max_pieces` is too small, or `never_lowercase` names an ordinary word.

    Example:
        `"unwanted running"` gives the ids of `[CLS] un ##want ##ed runn ##ing [SEP]`.
    """

    def __init__(
        self,
        pretrained_model: str,
        *,
        use_starting_offsets: bool = False,
        do_lowercase: bool | None = None,
        never_lowercase: list[str] | None = None,
        max_pieces: int = 512,
        truncate_long_sequences: bool = True,
        truncation: Truncation = "longest_first",
        encoders: Runtime[Encoders | None] = None,
    ) -> None:
        if max_pieces < SPECIALS_OF_TEXT + 1:
            raise ConfigError(
                f"max_pieces: {max_pieces} leaves no room for text between [CLS] and [SEP]; "
                "give at least 3, for pairs of texts at least 5"
            )
        self.tokenizer = (encoders or Encoders()).tokenizer(pretrained_model, do_lowercase)
        _check_never_lowercase(never_lowercase or [], self.tokenizer)
        self.pretrained_model = pretrained_model
        self.use_starting_offsets = use_starting_offsets
        self.max_pieces = max_pieces
        self.truncate_long_sequences = truncate_long_sequences
        self.truncation: Truncation = truncation

    def index(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Indexed:
        """Encodes texts, or pairs of texts of equal number.

        Raises:
            ValueError: There are not as many texts as pairs.
            ConfigError: `max_pieces` is too small for pairs.
            DataError: A text is longer than `max_pieces` and `truncate_long_sequences` is False.
        """
        first = self.tokenizer.encode_ragged(texts)
        if pairs is None:
            return self._join(texts, first, None)
        if len(pairs) != len(texts):
            raise ValueError(f"{len(texts)} texts but {len(pairs)} second texts; pairs need one each")
        if self.max_pieces < SPECIALS_OF_PAIR + 2:
            raise ConfigError(
                f"max_pieces: {self.max_pieces} leaves no room for a pair of texts; give at least 5"
            )
        return self._join(texts, first, self.tokenizer.encode_ragged(pairs))

    def fingerprint(self) -> str:
        """Hashes all that changes the ids; 64 hexadecimal digits."""
        options = (VERSION, self.max_pieces, self.truncate_long_sequences, self.truncation)
        return hashlib.sha256(f"{self.tokenizer.fingerprint()} {options}".encode()).hexdigest()

    def _join(self, texts: Sequence[str], first: RaggedIds, second: RaggedIds | None) -> Indexed:
        """Shortens rows that are too long and puts the special tokens in."""
        specials = SPECIALS_OF_TEXT if second is None else SPECIALS_OF_PAIR
        first_sizes = np.diff(first.offsets)
        second_sizes = np.zeros_like(first_sizes) if second is None else np.diff(second.offsets)
        full_lengths = first_sizes + second_sizes + specials
        too_long = full_lengths > self.max_pieces
        kept_ids: list[Ints] = [first.ids] if second is None else [first.ids, second.ids]
        if too_long.any():
            self._refuse_unless_truncating(texts, full_lengths)
            kept = truncate(
                self.truncation,
                first_sizes,
                second_sizes,
                budget=self.max_pieces - specials,
                head=max(1, self.max_pieces // 4),  # 128 of 512, as in Sun et al. 2019
            )
            ragged = [first] if second is None else [first, second]
            kept_ids = [_only(part, keep) for part, keep in zip(ragged, kept, strict=False)]
            first_sizes, second_sizes = kept[0].lengths, kept[1].lengths
        return self._assemble(kept_ids, first_sizes, second_sizes, full_lengths)

    def _assemble(
        self, kept_ids: Sequence[Ints], first_sizes: Ints, second_sizes: Ints, full_lengths: Ints
    ) -> Indexed:
        is_pair = len(kept_ids) == 2
        first_lengths = first_sizes + SPECIALS_OF_TEXT
        lengths = first_lengths + second_sizes + is_pair
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        input_ids = np.full(offsets[-1], self.tokenizer.sep_token_id, dtype=np.int32)
        starts, ends = offsets[:-1], offsets[1:]
        input_ids[starts] = self.tokenizer.cls_token_id
        holds_piece = np.ones(len(input_ids), dtype=np.bool_)
        holds_piece[starts] = holds_piece[starts + first_lengths - 1] = holds_piece[ends - 1] = False
        if is_pair:
            sizes = np.stack([first_lengths, lengths - first_lengths], axis=1)  # (rows, 2)
            in_second = np.repeat(np.tile([False, True], len(lengths)), sizes.ravel())
            input_ids[holds_piece & in_second] = kept_ids[1]
            holds_piece &= ~in_second
        input_ids[holds_piece] = kept_ids[0]
        return Indexed(input_ids, offsets, first_lengths.astype(np.int32), full_lengths.astype(np.int32))

    def _refuse_unless_truncating(self, texts: Sequence[str], full_lengths: Ints) -> None:
        if self.truncate_long_sequences:
            return
        row = int(np.argmax(full_lengths > self.max_pieces))
        start = texts[row] if len(texts[row]) <= 60 else texts[row][:60] + "..."
        raise DataError(
            f"the text {start!r} has {full_lengths[row]} pieces, special tokens included; max_pieces is "
            f"{self.max_pieces} and truncate_long_sequences is false; raise the one or set the other to true"
        )


def _only(ragged: RaggedIds, kept: Kept) -> Ints:
    ids: Ints = ragged.ids[kept_mask(ragged.offsets, kept)]
    return ids


def _check_never_lowercase(words: Sequence[str], tokenizer: BertTokenizer) -> None:
    specials = [
        tokenizer.unk_token,
        tokenizer.sep_token,
        tokenizer.pad_token,
        tokenizer.cls_token,
        tokenizer.mask_token,
    ]
    for word in words:
        if word not in specials:
            raise ConfigError(
                f"never_lowercase: {word!r} is not one of the special tokens ({', '.join(specials)}), which "
                "alone are never lower-cased; leave it out, or set do_lowercase to false"
            )
