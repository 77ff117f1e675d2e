"""WordPiece tokenization as BERT does it, over the Rust library `tokenizers`.

A text becomes pieces in three steps: clean (lower-case, strip accents, space out Chinese characters), split
at white space and punctuation, then cut each word greedily into the longest pieces of the vocabulary.
Special tokens such as `[CLS]` are found in the raw text before all that, as in Hugging Face's tokenizer.

Source: Devlin et al. 2019 (BERT), section 3; Wu et al. 2016 (GNMT), section 4.1, for WordPiece.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tokenizers import AddedToken

from bertx.bert.tokenization.ragged_encoding import RaggedEncoder, RaggedIds, well_formed
from bertx.bert.tokenization.rust_tokenizer import build_rust
from bertx.bert.tokenization.text_encoding import TextEncoding
from bertx.bert.tokenization.tokenizer_files import read_tokenizer, write_tokenizer
from bertx.bert.tokenization.tokenizer_settings import Side, TokenizerSettings, WordRules
from bertx.bert.tokenization.tokenizer_training import train_vocabulary
from bertx.bert.tokenization.wordpiece_vocab import read_vocab
from bertx.errors import DataError


class BertTokenizer(TextEncoding):
    """Turns text into the ids of word pieces, and back.

    Args:
        vocab: Id of every piece; the ids are 0, 1, 2, ... without a gap. Or a file with one piece per line.
        do_lower_case: Lower-case the text.
        do_basic_tokenize: Clean the text and cut it at punctuation before words are cut into pieces. False
            cuts words at white space only, and leaves case and accents alone whatever the other options say.
        never_split: Words between white space that are neither lower-cased nor cut, and become tokens as they
            stand: `unk_token_id` if they are not in `vocab`. Without effect if `do_basic_tokenize` is False.
        strip_accents: Remove accents; `None` means as `do_lower_case` says.
        tokenize_chinese_chars: Make every Chinese character a word of its own.
        clean_text: Remove control characters and make all white space a plain space.
        unk_token: Stands for a word that cannot be cut into known pieces.
        sep_token: Ends each of the one or two texts of an input.
        pad_token: Fills short rows of a batch.
        cls_token: Starts an input.
        mask_token: Hides a token in masked language modelling.
        added_tokens: Tokens that are found in the raw text and never cut, with their settings. Those that
            `vocab` does not have get the next free ids, in the given order.
        wordpieces_prefix: Marks a piece that continues a word.
        max_input_chars_per_word: A longer word becomes `unk_token`.
        model_max_length: Most tokens that the model can read; `None` means not known. Stands in where a call
            asks to truncate or pad without a `max_length`; a longer row is otherwise only warned about.
        padding_side: Where short rows are filled.
        truncation_side: Where long texts are cut.
        clean_up_tokenization_spaces: Clean up decoded text: no gaps before punctuation or in `do n't`.
        split_special_tokens: Read special tokens in the text as ordinary text.
        word_rules: How words are cut and folded. `keras_hub` does it as KerasHub: `do_lower_case` is
            Unicode's case folding, accents only go if `strip_accents` is True, a word may have 100 bytes.

    Raises:
        DataError: `vocab` is empty, has a gap, or lacks a special token.
        ValueError: An option has a value that does not exist.
    """

    def __init__(
        self,
        vocab: Mapping[str, int] | Path | str,
        *,
        do_lower_case: bool = True,
        do_basic_tokenize: bool = True,
        never_split: Iterable[str] | None = None,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
        clean_text: bool = True,
        unk_token: str = "[UNK]",
        sep_token: str = "[SEP]",
        pad_token: str = "[PAD]",
        cls_token: str = "[CLS]",
        mask_token: str = "[MASK]",
        added_tokens: Sequence[AddedToken] = (),
        wordpieces_prefix: str = "##",
        max_input_chars_per_word: int = 100,
        model_max_length: int | None = None,
        padding_side: Side = "right",
        truncation_side: Side = "right",
        clean_up_tokenization_spaces: bool = True,
        split_special_tokens: bool = False,
        word_rules: WordRules = "bert",
    ) -> None:
        settings = TokenizerSettings(
            do_lower_case=do_lower_case,
            do_basic_tokenize=do_basic_tokenize,
            never_split=never_split if isinstance(never_split, str) else sorted(set(never_split or ())),
            strip_accents=strip_accents,
            tokenize_chinese_chars=tokenize_chinese_chars,
            clean_text=clean_text,
            unk_token=unk_token,
            sep_token=sep_token,
            pad_token=pad_token,
            cls_token=cls_token,
            mask_token=mask_token,
            added_tokens=added_tokens,
            wordpieces_prefix=wordpieces_prefix,
            max_input_chars_per_word=max_input_chars_per_word,
            model_max_length=model_max_length,
            padding_side=padding_side,
            truncation_side=truncation_side,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
            split_special_tokens=split_special_tokens,
            word_rules=word_rules,
        )
        if not isinstance(vocab, Mapping):
            vocab = read_vocab(Path(vocab))
        super().__init__(build_rust(vocab, settings), settings)
        self.do_lower_case = do_lower_case
        self.do_basic_tokenize = do_basic_tokenize
        self.never_split = settings.never_split
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.clean_text = clean_text
        self.max_input_chars_per_word = max_input_chars_per_word
        self.split_special_tokens = split_special_tokens
        self.word_rules = word_rules
        self._ragged: RaggedEncoder | None = None

    @classmethod
    def from_pretrained(
        cls,
        source: Path | str,
        do_lower_case: bool | None = None,
        *,
        do_basic_tokenize: bool | None = None,
        never_split: Iterable[str] | None = None,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool | None = None,
        model_max_length: int | None = None,
    ) -> BertTokenizer:
        """Reads the tokenizer of a checkpoint folder, or a single `vocab.txt` file of any name.

        Args:
            source: A folder with `vocab.txt` or `tokenizer.json`, or a file with one piece per line.
            do_lower_case: Overrides what the files say. `None` means: what they say; where they say
                nothing, False if the name of `source` contains `-cased` (a warning is logged), else True.
            do_basic_tokenize: Overrides what the files say, as do all further options; `None` does not.
            never_split: See the class.
            strip_accents: See the class.
            tokenize_chinese_chars: See the class.
            model_max_length: See the class.

        Raises:
            CheckpointError: The files are missing, unreadable, or contradict each other.
            DataError: The vocabulary is empty, has a token twice, or lacks a special token.
        """
        vocab, settings = read_tokenizer(Path(source), do_lower_case)
        wishes = {
            "do_basic_tokenize": do_basic_tokenize,
            "never_split": never_split,
            "strip_accents": strip_accents,
            "tokenize_chinese_chars": tokenize_chinese_chars,
            "model_max_length": model_max_length,
        }
        options = vars(settings) | {name: wish for name, wish in wishes.items() if wish is not None}
        try:
            return cls(vocab, **options)
        except DataError as error:
            raise DataError(f"{source}: {error}") from None

    @classmethod
    def train(
        cls, texts: Iterable[str], vocab_size: int, *, do_lower_case: bool = True, min_frequency: int = 2
    ) -> BertTokenizer:
        """Learns a vocabulary from texts; the same texts in any order give the same vocabulary.

        Args:
            texts: Read once and kept in memory.
            vocab_size: Pieces to learn, with the five special tokens, whose ids are 0 to 4 (`[PAD]`,
                `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]`). Few texts give fewer.
            do_lower_case: Lower-case the texts, now and later.
            min_frequency: Two pieces are joined only if they meet this often.

        Raises:
            DataError: `vocab_size` is too small for the characters of the texts.
        """
        return cls(
            train_vocabulary(map(well_formed, texts), vocab_size, do_lower_case, min_frequency),
            do_lower_case=do_lower_case,
        )

    def __reduce__(self) -> tuple[functools.partial[BertTokenizer], tuple[dict[str, int]]]:
        """Pickles the settings and the vocabulary: the Rust library cannot pickle rules made in Python."""
        return functools.partial(BertTokenizer, **vars(self.settings)), (self._base_vocab(),)

    def save_pretrained(self, folder: Path | str) -> None:
        """Writes the five files that `transformers` reads.

        `tokenizer.json` is left out, and an old one removed, where it could not express the word rules.

        Args:
            folder: Made where it does not exist. Each file is replaced in one step.
        """
        write_tokenizer(Path(folder), self._rust, self._base_vocab(), self.settings)

    @property
    def settings(self) -> TokenizerSettings:
        """The arguments, but the vocabulary, that make this tokenizer again."""
        return dataclasses.replace(
            self._settings,
            unk_token=self.unk_token,
            sep_token=self.sep_token,
            pad_token=self.pad_token,
            cls_token=self.cls_token,
            mask_token=self.mask_token,
            added_tokens=list(self.added_tokens_decoder.values()),
            model_max_length=self.model_max_length,
            padding_side=self.padding_side,
            truncation_side=self.truncation_side,
            clean_up_tokenization_spaces=self.clean_up_tokenization_spaces,
        )

    def fingerprint(self) -> str:
        """Hashes everything that changes the ids: for the keys of caches. 64 hexadecimal digits."""
        settings = self.settings
        standard = dataclasses.replace(settings, do_basic_tokenize=True, never_split=(), word_rules="bert")
        rust = self._rust if settings.uses_rust_rules else build_rust(self._base_vocab(), standard)
        parts = [rust.to_str(pretty=False), *self.special_tokens_map.values()]
        if not settings.uses_rust_rules or settings.split_special_tokens:
            own_rules = (settings.do_basic_tokenize, settings.word_rules, settings.split_special_tokens)
            parts += [repr(own_rules), *settings.never_split]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()

    def encode_ragged(self, texts: Sequence[str]) -> RaggedIds:
        """Encodes many texts at once, without special tokens and without truncation.

        The way for data sets: several times as fast as the Rust library alone on English, because each
        distinct piece of text between spaces is cut only once.

        Args:
            texts: Any number of texts, of any length. A lone surrogate reads as U+FFFD.
        """
        if self._ragged is None:
            # A space splits words whatever surrounds it, unless an added token may reach across it.
            split_at_spaces = not any(
                token.normalized or any(character.isspace() for character in token.content)
                for token in self.added_tokens_decoder.values()
            )
            self._ragged = RaggedEncoder(self._rust, split_at_spaces=split_at_spaces)
        return self._ragged.encode(texts)

    def add_tokens(
        self, tokens: str | AddedToken | Sequence[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Adds tokens; see `TokenTable.add_tokens`."""
        self._ragged = None  # it remembers the ids of before
        return super().add_tokens(tokens, special_tokens)

    def _base_vocab(self) -> dict[str, int]:
        return dict(self._rust.get_vocab(with_added_tokens=False))
