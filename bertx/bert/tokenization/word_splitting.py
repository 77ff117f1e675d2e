"""Cuts a text into words by rules that the Rust library does not have, and keeps track of places.

Two sets of rules: those of the original Python tokenizer, whose `never_split` later tokenizers lost, and
those of KerasHub. Every character of a word remembers which characters of the text it was made from.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Set
from typing import NamedTuple, Protocol, TypeAlias

Span: TypeAlias = tuple[int, int]

# Source: google-research/bert, tokenization.py; the blocks that hold Chinese characters, not all of CJK.
CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)

# Source: Unicode Character Database, DerivedCoreProperties.txt, Default_Ignorable_Code_Point.
IGNORABLE = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)


class Word(NamedTuple):
    """A word, ready to be cut into pieces."""

    text: str
    """Lower-cased and so on, as the rules say."""
    spans: list[Span]
    """Start and end in the raw text of each character of `text`."""
    whole: bool = False
    """Whether the word is a token as it stands, in the vocabulary or not."""


class WordSplitter(Protocol):
    """Rules for words."""

    def words(self, text: str) -> Iterator[Word]:
        """Yields the words of a text, in order."""


class BasicSplitter:
    """The rules of the original Python tokenizer: clean, fold, cut at white space and punctuation.

    Source: the slow `BertTokenizer` of Hugging Face's transformers, which came from google-research/bert.

    Args:
        do_lower_case: Lower-case each word.
        strip_accents: Remove accents; `None` means as `do_lower_case` says.
        tokenize_chinese_chars: Make every Chinese character a word of its own.
        clean_text: Remove control characters.
        never_split: Words that become tokens as they stand.
        special: Words that are neither folded nor cut at punctuation.
    """

    def __init__(
        self,
        *,
        do_lower_case: bool,
        strip_accents: bool | None,
        tokenize_chinese_chars: bool,
        clean_text: bool,
        never_split: Set[str],
        special: Set[str],
    ) -> None:
        self.do_lower_case = do_lower_case
        self.strip_accents = do_lower_case if strip_accents is None else strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.clean_text = clean_text
        self.never_split = never_split
        self.protected = never_split | special

    def words(self, text: str) -> Iterator[Word]:
        """Yields the words of a text, in order."""
        for places in self._stretches(text):
            raw = "".join(text[place] for place in places)
            # The same letter may be one character or two; from here on it is one.
            composed = unicodedata.normalize("NFC", raw)
            is_protected = composed in self.protected
            word, spans = _aligned(raw, places, _compose if is_protected else self._fold)
            if word in self.protected:
                yield Word(word, spans, whole=word in self.never_split)
                continue
            for start, end in _cuts(word, is_punctuation):
                yield Word(word[start:end], spans[start:end], whole=word[start:end] in self.never_split)

    def _stretches(self, text: str) -> Iterator[list[int]]:
        """Yields the places of the characters between white space, and of single Chinese characters."""
        places: list[int] = []
        for place, character in enumerate(text):
            if self.clean_text and is_removed(character):
                continue
            is_chinese = self.tokenize_chinese_chars and is_within(character, CHINESE)
            if not is_chinese and not character.isspace():
                places.append(place)
                continue
            if places:
                yield places
                places = []
            if is_chinese:
                yield [place]
        if places:
            yield places

    def _fold(self, text: str) -> str:
        text = _compose(text)
        if self.do_lower_case:
            text = text.lower()
        return without_accents(text) if self.strip_accents else text


class KerasHubSplitter:
    """The rules of KerasHub's WordPiece tokenizer.

    Accents go only if asked for, lower case is Unicode's case folding, so that `ß` becomes `ss`, and control
    characters, even a soft hyphen, end a word.

    Source: keras_hub/src/tokenizers/word_piece_tokenizer.py, version 0.32.

    Args:
        lowercase: Fold case.
        strip_accents: Remove accents.
        split_on_cjk: Make every Chinese character a word of its own.
    """

    def __init__(self, *, lowercase: bool, strip_accents: bool, split_on_cjk: bool) -> None:
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.split_on_cjk = split_on_cjk

    def words(self, text: str) -> Iterator[Word]:
        """Yields the words of a text, in order."""
        places = list(range(len(text)))
        spans = [(place, place + 1) for place in places]
        if self.strip_accents:
            text, spans = _aligned(text, places, without_accents)
        for start, end in _cuts(text, self._is_alone):
            word = self._word(text[start:end], spans[start:end])
            if word.text and not _is_keras_space(text[start]):
                yield word

    def _is_alone(self, character: str) -> bool:
        return (
            is_punctuation(character)
            or _is_keras_space(character)
            or (self.split_on_cjk and is_within(character, CHINESE))
        )

    def _word(self, text: str, spans: list[Span]) -> Word:
        if not self.lowercase:
            return Word(text, spans)
        folded, clusters = _aligned(text, list(range(len(text))), fold_case)
        return Word(folded, [(spans[start][0], spans[end - 1][1]) for start, end in clusters])


def is_removed(character: str) -> bool:
    """Whether cleaning drops a character: controls, private use, and the replacement character."""
    if character in "\t\n\r":
        return False
    return character == "\ufffd" or unicodedata.category(character).startswith("C")


def is_punctuation(character: str) -> bool:
    """Whether a character is a word of its own: punctuation, and every ASCII sign such as `$`."""
    if character.isascii():
        return "!" <= character <= "~" and not character.isalnum()
    return unicodedata.category(character).startswith("P")


def is_within(character: str, blocks: tuple[Span, ...]) -> bool:
    """Whether a character lies in one of the blocks; both ends belong to a block."""
    return not character.isascii() and any(low <= ord(character) <= high for low, high in blocks)


def without_accents(text: str) -> str:
    """Takes letters apart and drops the marks on them: `é` gives `e`."""
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFD", text)
    return "".join(part for part in parts if unicodedata.category(part) != "Mn")


def fold_case(text: str) -> str:
    """Folds case and compatibility forms and drops what is ignorable: Unicode's NFKC_Casefold."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(character for character in folded if not is_within(character, IGNORABLE))


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _is_keras_space(character: str) -> bool:
    return character in " \t\n\r\f" or unicodedata.category(character) in ("Cc", "Cf")


def _cuts(text: str, is_alone: Callable[[str], bool]) -> Iterator[Span]:
    """Yields start and end of the stretches between characters that stand alone, and of those."""
    start = 0
    for place, character in enumerate(text):
        if is_alone(character):
            if start < place:
                yield start, place
            yield place, place + 1
            start = place + 1
    if start < len(text):
        yield start, len(text)


def _aligned(raw: str, places: list[int], change: Callable[[str], str]) -> tuple[str, list[Span]]:
    """Changes a stretch of text and finds out which raw characters each new one comes from.

    A letter and its marks change together. Where that does not explain the result, as with a Greek sigma
    that ends a word, each new character stands for the whole stretch.

    Args:
        raw: The stretch.
        places: Where in the text each of its characters stands.
        change: The change.
    """
    changed = change(raw)
    if changed == raw:
        return raw, [(place, place + 1) for place in places]
    parts: list[str] = []
    spans: list[Span] = []
    start = 0
    for end in range(1, len(raw) + 1):
        if end == len(raw) or unicodedata.category(raw[end])[0] != "M":
            parts.append(change(raw[start:end]))
            spans += [(places[start], places[end - 1] + 1)] * len(parts[-1])
            start = end
    if "".join(parts) == changed:
        return changed, spans
    return changed, [(places[0], places[-1] + 1)] * len(changed)
