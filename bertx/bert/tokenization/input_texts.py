"""The ways to hand texts to a tokenizer: one or many, alone or in pairs, whole or as words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from bertx.bert.tokenization.ragged_encoding import well_formed

Text: TypeAlias = str | Sequence[str]
"""A text, or its words."""
Texts: TypeAlias = Text | Sequence[Text] | Sequence[tuple[Text, Text]]
"""A text or many, or many pairs."""
TextPair: TypeAlias = tuple[Text, Text | None]


def as_pairs(
    text: Texts, text_pair: Text | Sequence[Text] | None, are_words: bool
) -> tuple[list[TextPair], bool]:
    """Brings all ways to give texts into one: a list of pairs, and whether it was a batch.

    Raises:
        ValueError: There are not as many second texts as texts.
        TypeError: Something is not a text.
    """
    if isinstance(text, str) or (are_words and not (text and not isinstance(text[0], str))):
        return [(text, text_pair)], False  # type: ignore[list-item]  # one text has one second text
    if text_pair is not None:
        if isinstance(text_pair, str) or len(text_pair) != len(text):
            raise ValueError(f"{len(text)} texts need as many second texts; expected a list of that length")
        return list(zip(text, text_pair, strict=True)), True  # type: ignore[arg-type]  # texts, not pairs
    return [_as_pair(item, are_words) for item in text], True


def _as_pair(item: Text | tuple[Text, Text], are_words: bool) -> TextPair:
    """Tells a text from a pair: of two strings, or of two lists of words."""
    if isinstance(item, list | tuple):
        if are_words and all(isinstance(part, str) for part in item):
            return item, None
        if len(item) == 2:
            return item[0], item[1]
    if are_words or not isinstance(item, str):
        raise TypeError(f"{item!r:.80} is neither a text nor a pair of texts")
    return item, None


def mended(text: Text, are_words: bool) -> Text:
    """Makes a text well-formed.

    Raises:
        TypeError: It is not a text.
    """
    words = [text] if isinstance(text, str) else text
    if isinstance(text, str) == are_words or not all(isinstance(word, str) for word in words):
        raise TypeError(
            f"{text!r:.80} is not a text; expected {'a list of words' if are_words else 'a string'}"
        )
    return [well_formed(word) for word in words] if are_words else well_formed(words[0])
