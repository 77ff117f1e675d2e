"""Builds the tokenizer of the Rust library `tokenizers` that a `BertTokenizer` works with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tokenizers import (
    NormalizedString,
    PreTokenizedString,
    Regex,
    Token,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import WordPiece

from bertx.bert.tokenization.tokenizer_settings import TokenizerSettings
from bertx.bert.tokenization.word_splitting import BasicSplitter, KerasHubSplitter, Word, WordSplitter
from bertx.bert.tokenization.wordpiece_vocab import check_vocab

# What Python's str.split cuts at; the Rust library's own white space lacks the separators U+001C to U+001F.
WHITE_SPACE = (
    r"[\t-\r\x{1c}-\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+"
)
# KerasHub's longest word is counted in bytes.
KERAS_MAX_BYTES_PER_WORD = 100


def build_rust(vocab: Mapping[str, int], settings: TokenizerSettings) -> Tokenizer:
    """Builds the tokenizer.

    Raises:
        DataError: `vocab` is empty, has a gap, or lacks a special token.
    """
    special = list(settings.roles.values())
    described = {token.content for token in settings.added_tokens}
    check_vocab(vocab, special, described)
    model = WordPiece(
        dict(vocab),
        unk_token=settings.unk_token,
        continuing_subword_prefix=settings.wordpieces_prefix,
        max_input_chars_per_word=settings.max_input_chars_per_word,
    )
    rust = Tokenizer(model)
    _set_word_rules(rust, model, settings)
    rust.decoder = decoders.WordPiece(prefix=settings.wordpieces_prefix, cleanup=settings.uses_rust_rules)
    for token in settings.added_tokens:
        rust.add_special_tokens([token]) if token.special else rust.add_tokens([token])
    rust.add_special_tokens([token for token in special if token not in described])
    rust.encode_special_tokens = settings.split_special_tokens
    set_layout(rust, settings.cls_token, settings.sep_token)
    return rust


def set_layout(rust: Tokenizer, cls_token: str, sep_token: str) -> None:
    """Makes inputs `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, with segments 0 and 1."""
    start, end = f"{cls_token}:0", f"{sep_token}:0"
    rust.post_processor = processors.TemplateProcessing(
        single=[start, "$A:0", end],
        pair=[start, "$A:0", end, "$B:1", f"{sep_token}:1"],
        special_tokens=[(token, rust.token_to_id(token)) for token in (cls_token, sep_token)],
    )


def _set_word_rules(rust: Tokenizer, model: WordPiece, settings: TokenizerSettings) -> None:
    if settings.word_rules == "keras_hub":
        splitter: WordSplitter = KerasHubSplitter(
            lowercase=settings.do_lower_case,
            strip_accents=bool(settings.strip_accents),
            split_on_cjk=settings.tokenize_chinese_chars,
        )
        limit = KERAS_MAX_BYTES_PER_WORD
        rust.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(_WordsToPieces(splitter, model, limit))
    elif not settings.do_basic_tokenize:
        rust.pre_tokenizer = pre_tokenizers.Split(Regex(WHITE_SPACE), "removed")
    elif settings.never_split:
        splitter = BasicSplitter(
            do_lower_case=settings.do_lower_case,
            strip_accents=settings.strip_accents,
            tokenize_chinese_chars=settings.tokenize_chinese_chars,
            clean_text=settings.clean_text,
            never_split=frozenset(settings.never_split),
            special=frozenset(settings.roles.values()),
        )
        rust.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(_WordsToPieces(splitter, model, None))
    else:
        rust.normalizer = normalizers.BertNormalizer(
            clean_text=settings.clean_text,
            handle_chinese_chars=settings.tokenize_chinese_chars,
            strip_accents=settings.strip_accents,
            lowercase=settings.do_lower_case,
        )
        rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()


class _WordsToPieces:
    """Stands in for the Rust library's pre-tokenizer: cuts words by other rules, and words into pieces.

    Args:
        splitter: The rules for words.
        model: Cuts words into pieces.
        max_bytes: A word of more UTF-8 bytes is unknown; `None` means no such limit.
    """

    def __init__(self, splitter: WordSplitter, model: WordPiece, max_bytes: int | None) -> None:
        self.splitter = splitter
        self.model = model
        self.max_bytes = max_bytes

    def pre_tokenize(self, text: PreTokenizedString) -> None:
        """Is called by the library with the text between special tokens."""
        words: list[Word] = []

        def cut(_: int, part: NormalizedString) -> list[NormalizedString]:
            found = list(self.splitter.words(part.normalized))
            words.extend(found)
            raws = (part[word.spans[0][0] : word.spans[-1][1]] for word in found)
            return [raw for raw in raws if raw is not None]

        text.split(cut)
        in_order = iter(words)
        text.tokenize(lambda raw: list(self._pieces(next(in_order), raw)))

    def _pieces(self, word: Word, raw: str) -> Iterator[Token]:
        if word.whole:
            yield Token(self._id(word.text), word.text, (0, _bytes(raw)))
            return
        if self.max_bytes is not None and _bytes(word.text) > self.max_bytes:
            yield Token(self._id(self.model.unk_token), self.model.unk_token, (0, _bytes(raw)))
            return
        start_of_word = word.spans[0][0]
        encoded = word.text.encode()
        for piece in self.model.tokenize(word.text):
            first, last = (len(encoded[:offset].decode()) for offset in piece.offsets)
            start, end = word.spans[first][0] - start_of_word, word.spans[last - 1][1] - start_of_word
            # The library counts in bytes of the raw word.
            yield Token(piece.id, piece.value, (_bytes(raw[:start]), _bytes(raw[:end])))

    def _id(self, token: str) -> int:
        id_ = self.model.token_to_id(token)
        return self._id(self.model.unk_token) if id_ is None else id_


def _bytes(text: str) -> int:
    return len(text.encode())
