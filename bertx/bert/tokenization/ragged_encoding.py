"""Texts to ids by the tens of thousands, into two NumPy arrays.

Most of the time of tokenization goes into normalizing and cutting words, and in natural text the same words
come again and again. A space always ends a word, so what stands between two spaces can be encoded by itself:
each distinct stretch goes through the Rust library once, and NumPy copies its ids to all its places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

# Bounds the memory of one block, about 20 bytes per character; larger blocks gain no more speed.
BLOCK_CHARACTERS = 8_000_000


class RaggedIds(NamedTuple):
    """Token ids of many texts, end to end: text `i` has `ids[offsets[i]:offsets[i + 1]]`."""

    ids: NDArray[np.int32]
    """int32, (tokens of all texts,)."""
    offsets: NDArray[np.int64]
    """int64, (texts + 1,); the first is 0, the last the number of tokens."""


def encode_ragged(rust: Tokenizer, texts: Sequence[str], *, split_at_spaces: bool) -> RaggedIds:
    """Encodes texts without special tokens.

    Args:
        rust: The tokenizer of the Rust library.
        texts: A lone surrogate reads as U+FFFD.
        split_at_spaces: Encode each distinct stretch between spaces and line ends once. Wrong where a token
            could reach across a space.
    """
    blocks = [_encode_block(rust, block, split_at_spaces) for block in _blocks(texts)]
    lengths = np.concatenate([np.zeros(1, np.int64), *(np.diff(offsets) for _, offsets in blocks)])
    ids = np.concatenate([np.zeros(0, np.int32), *(ids for ids, _ in blocks)])
    return RaggedIds(ids, np.cumsum(lengths))


def well_formed(text: str) -> str:
    """Joins surrogate pairs and replaces lone surrogates, which UTF-8 cannot hold, by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cuts the texts into runs of about `BLOCK_CHARACTERS`, at least one text each."""
    start = characters = 0
    for stop, text in enumerate(texts, start=1):
        characters += len(text)
        if characters >= BLOCK_CHARACTERS:
            yield texts[start:stop]
            start, characters = stop, 0
    if start < len(texts):
        yield texts[start:]


def _encode_block(rust: Tokenizer, texts: Sequence[str], split_at_spaces: bool) -> RaggedIds:
    if not split_at_spaces:
        return _encode_plain(rust, texts)
    # One long list: a list per text would set off the garbage collector again and again.
    stretches = " ".join(texts).replace("\n", " ").split(" ")
    counts = (text.count(" ") + text.count("\n") + 1 for text in texts)
    last_stretches = np.cumsum(np.fromiter(counts, np.int64, len(texts))) - 1  # (texts,)
    places = {stretch: place for place, stretch in enumerate(dict.fromkeys(stretches))}
    distinct = _encode_plain(rust, list(places))
    which = np.fromiter(map(places.__getitem__, stretches), np.int64, len(stretches))  # (stretches,)
    lengths = np.diff(distinct.offsets)[which]  # (stretches,)
    ends = np.cumsum(lengths)  # (stretches,)
    # Token t of the result is token t - shift of `distinct`, with one shift per stretch.
    shifts = ends - lengths - distinct.offsets[which]  # (stretches,)
    sources = np.arange(ends[-1]) - np.repeat(shifts, lengths)  # (tokens,)
    return RaggedIds(distinct.ids[sources], np.concatenate([np.zeros(1, np.int64), ends[last_stretches]]))


def _encode_plain(rust: Tokenizer, texts: Sequence[str]) -> RaggedIds:
    try:
        encodings = rust.encode_batch_fast(texts, add_special_tokens=False)
    except TypeError:  # the library's word for a text that UTF-8 cannot hold
        encodings = rust.encode_batch_fast([well_formed(text) for text in texts], add_special_tokens=False)
    rows = [encoding.ids for encoding in encodings]
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)), out=offsets[1:])
    return RaggedIds(np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1])), offsets)
