"""Texts to ids by the tens of thousands, into two NumPy arrays.

Most of the time of tokenization goes into normalizing and cutting words, and in natural text the same words
come again and again. A space always ends a word, so what stands between two spaces can be encoded by itself:
each distinct stretch goes through the Rust library once, and NumPy copies its ids to all its places.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

# Bounds the memory of one block, about 20 bytes per character; larger blocks gain no more speed.
BLOCK_CHARACTERS = 8_000_000
# Stretches that are remembered from call to call, about 200 bytes each; rare ones gain little.
REMEMBERED_STRETCHES = 100_000


class RaggedIds(NamedTuple):
    """Token ids of many texts, end to end: text `i` has `ids[offsets[i]:offsets[i + 1]]`."""

    ids: NDArray[np.int32]
    """int32, (tokens of all texts,)."""
    offsets: NDArray[np.int64]
    """int64, (texts + 1,); the first is 0, the last the number of tokens."""


class RaggedEncoder:
    """Encodes texts without special tokens, and remembers the stretches it has met; for any threads.

    Args:
        rust: The tokenizer of the Rust library; what it makes of a text must not change.
        split_at_spaces: Encode each distinct stretch between spaces and line ends once. Wrong where a token
            could reach across a space.
    """

    def __init__(self, rust: Tokenizer, *, split_at_spaces: bool) -> None:
        self._rust = rust
        self._split_at_spaces = split_at_spaces
        self._lock = Lock()
        self._forget()

    def encode(self, texts: Sequence[str]) -> RaggedIds:
        """Encodes texts of any number and length; a lone surrogate reads as U+FFFD."""
        encode = self._encode_block if self._split_at_spaces else self._encode_plain
        blocks = [encode(block) for block in _blocks(texts)]
        return blocks[0] if len(blocks) == 1 else _end_to_end(blocks)

    def _forget(self) -> None:
        self._places: defaultdict[str, int] = defaultdict(count().__next__)  # numbers a new stretch itself
        self._known = _end_to_end([])  # their ids, by place

    def _encode_block(self, texts: Sequence[str]) -> RaggedIds:
        # One long list: a list per text would set off the garbage collector again and again.
        stretches = " ".join(texts).replace("\n", " ").split(" ")
        counts = (text.count(" ") + text.count("\n") + 1 for text in texts)
        last_stretches = np.cumsum(np.fromiter(counts, np.int64, len(texts))) - 1  # (texts,)
        known, which = self._look_up(stretches)
        lengths = np.diff(known.offsets)[which]  # (stretches,)
        ends = np.cumsum(lengths)  # (stretches,)
        # Token t of the result is token t - shift of `known`, with one shift per stretch.
        shifts = ends - lengths - known.offsets[which]  # (stretches,)
        sources = np.arange(ends[-1]) - np.repeat(shifts, lengths)  # (tokens,)
        return RaggedIds(known.ids[sources], np.concatenate([np.zeros(1, np.int64), ends[last_stretches]]))

    def _look_up(self, stretches: Sequence[str]) -> tuple[RaggedIds, NDArray[np.int64]]:
        """Returns the ids of all stretches that are known now, and the place of each given one among them."""
        with self._lock:
            try:
                which = np.fromiter(map(self._places.__getitem__, stretches), np.int64, len(stretches))
                num_new = len(self._places) - len(self._known.offsets) + 1
                if num_new:
                    new = [*islice(reversed(self._places), num_new)][::-1]
                    self._known = _end_to_end([self._known, self._encode_plain(new)])
            except BaseException:  # places without ids
                self._forget()
                raise
            known = self._known
            if len(self._places) > REMEMBERED_STRETCHES:
                self._forget()
        return known, which

    def _encode_plain(self, texts: Sequence[str]) -> RaggedIds:
        try:
            encodings = self._rust.encode_batch_fast(texts, add_special_tokens=False)
        except TypeError:  # the library's word for a text that UTF-8 cannot hold
            texts = [well_formed(text) for text in texts]
            encodings = self._rust.encode_batch_fast(texts, add_special_tokens=False)
        rows = [encoding.ids for encoding in encodings]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)), out=offsets[1:])
        return RaggedIds(np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1])), offsets)


def well_formed(text: str) -> str:
    """Joins surrogate pairs and replaces lone surrogates, which UTF-8 cannot hold, by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _end_to_end(blocks: Sequence[RaggedIds]) -> RaggedIds:
    lengths = [np.zeros(1, np.int64), *(np.diff(block.offsets) for block in blocks)]
    ids = [np.zeros(0, np.int32), *(block.ids for block in blocks)]
    return RaggedIds(np.concatenate(ids), np.cumsum(np.concatenate(lengths)))


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
