"""Learns a WordPiece vocabulary from texts, the same one each time."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer

from bertx.errors import DataError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_vocabulary(
    texts: Iterable[str], vocab_size: int, do_lower_case: bool, min_frequency: int
) -> dict[str, int]:
    """Returns the id of every learned piece: special tokens, single characters, then joined pieces.

    Raises:
        DataError: `vocab_size` has no room for the special tokens and the characters of the texts.
    """
    kept = list(texts)
    normalizer = normalizers.BertNormalizer(lowercase=do_lower_case)
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    stretches = dict.fromkeys(stretch for text in kept for stretch in text.split())
    words = [
        word
        for stretch in stretches
        for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(stretch))
    ]
    first = sorted({character for word in words for character in word})
    continuing = sorted({"##" + character for word in words for character in word[1:]})
    needed = len(SPECIAL_TOKENS) + len(first) + len(continuing)
    if vocab_size < needed:
        raise DataError(
            f"vocab_size is {vocab_size}, but the special tokens and single characters of the texts already "
            f"take {needed}; expected at least {needed}; raise vocab_size or clean the texts"
        )
    rust = Tokenizer(WordPiece({}, unk_token="[UNK]"))
    rust.normalizer = normalizer
    rust.pre_tokenizer = pre_tokenizer
    # The trainer numbers continuing characters in the order of a hash map that differs from run to run, and
    # breaks ties by number. Handed over as if they were special tokens, they get fixed numbers.
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[*SPECIAL_TOKENS, *continuing],
        show_progress=False,
    )
    rust.train_from_iterator(kept, trainer)
    return dict(sorted(rust.get_vocab().items(), key=lambda item: item[1]))
