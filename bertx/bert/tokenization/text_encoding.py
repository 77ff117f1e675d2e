"""From texts to model inputs: special tokens, truncation, padding, and all that is returned with the ids."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from operator import attrgetter

from tokenizers import Encoding, Tokenizer

from bertx.bert.tokenization.batch_encoding import BatchEncoding, TensorType, Values, as_tensors
from bertx.bert.tokenization.input_texts import Text, TextPair, Texts, as_pairs, mended
from bertx.bert.tokenization.sequence_layout import SequenceLayout
from bertx.bert.tokenization.sequence_lengths import Padding, SequenceLengths, Truncation, sequence_lengths
from bertx.bert.tokenization.tokenizer_settings import Side, TokenizerSettings

logger = logging.getLogger(__name__)


class TextEncoding(SequenceLayout):
    """Calls: texts to model inputs.

    Args:
        rust: The tokenizer of the Rust library.
        settings: The options.
    """

    def __init__(self, rust: Tokenizer, settings: TokenizerSettings) -> None:
        super().__init__(rust, settings)
        self._has_warned = False

    def __call__(
        self,
        text: Texts,
        text_pair: Text | Sequence[Text] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: Padding = False,
        truncation: Truncation | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_tensors: TensorType | None = None,
        return_token_type_ids: bool = True,
        return_attention_mask: bool = True,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
    ) -> BatchEncoding:
        """Makes model inputs of a text, a pair of texts, or a batch of either.

        Args:
            text: A text; a list of texts or of pairs is a batch. With `is_split_into_words`, a list of words
                is one text, and a list of lists a batch.
            text_pair: The second text, or as many as there are texts.
            add_special_tokens: Make it `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`.
            padding: True or `longest` fills rows to the longest of the batch, `max_length` to `max_length`.
            truncation: Which text is cut to keep a row within `max_length`: True or `longest_first` the
                longer one, token by token; `only_first`; `only_second`. `None` cuts only if `max_length` is
                given and `padding` is not.
            max_length: Most tokens of a row, special ones included; `None` is `model_max_length`.
            stride: Tokens that a window over a long text shares with the one before.
            is_split_into_words: Texts are given as lists of words.
            pad_to_multiple_of: Fill rows to a multiple of this, if they are filled at all.
            padding_side: Overrides the tokenizer's own.
            return_tensors: `pt` for torch tensors, `np` for arrays; `None` for lists.
            return_token_type_ids: Return 0 for the first text, 1 for the second.
            return_attention_mask: Return 1 for tokens, 0 for padding.
            return_overflowing_tokens: Return the windows over what was cut off as further rows, and which
                text each row is from as `overflow_to_sample_mapping`.
            return_special_tokens_mask: Return 1 for special tokens and padding.
            return_offsets_mapping: Return start and end in the text of each token, as `offset_mapping`.
            return_length: Return the length of each row, padding included.

        Returns:
            Lists, tensors or arrays by name, of shape (tokens,) for one text without `return_tensors` and
            without windows, else (rows, tokens).

        Raises:
            ValueError: Options contradict each other, or rows of different lengths should become a tensor.
            TypeError: A text is not a string.
        """
        lengths = self._lengths(padding, truncation, max_length, stride, pad_to_multiple_of)
        pairs, is_batch = as_pairs(text, text_pair, is_split_into_words)
        windows = self._encode(pairs, lengths, is_split_into_words, add_special_tokens)
        sources = [row for row, several in enumerate(windows) for _ in several]
        encodings = [window for several in windows for window in several]
        if not return_overflowing_tokens:
            sources, encodings = list(range(len(pairs))), [several[0] for several in windows]
        if max_length is None:
            self._warn_of_long_rows(encodings)
        self._pad_encodings(encodings, lengths, padding_side)
        wanted = {
            "input_ids": True,
            "token_type_ids": return_token_type_ids,
            "attention_mask": return_attention_mask,
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
            "length": return_length,
        }
        values = _columns(encodings, [name for name, is_wanted in wanted.items() if is_wanted])
        if return_overflowing_tokens:
            values["overflow_to_sample_mapping"] = [*sources]
        is_single = not is_batch and return_tensors is None and not return_overflowing_tokens
        rows: dict[str, Values] = {
            name: value[0] if is_single and isinstance(value[0], list) else value
            for name, value in values.items()
        }
        return BatchEncoding(as_tensors(rows, return_tensors), encodings)

    def encode(
        self,
        text: Text,
        text_pair: Text | None = None,
        *,
        add_special_tokens: bool = True,
        truncation: Truncation | None = None,
        max_length: int | None = None,
        padding: Padding = False,
        is_split_into_words: bool = False,
    ) -> list[int]:
        """Returns the ids of `[CLS] text [SEP]`, or of `[CLS] text [SEP] text_pair [SEP]`; see `__call__`."""
        lengths = self._lengths(padding, truncation, max_length, 0, None)
        (windows,) = self._encode([(text, text_pair)], lengths, is_split_into_words, add_special_tokens)
        self._pad_encodings(windows[:1], lengths, None)
        return windows[0].ids

    def tokenize(self, text: str, pair: str | None = None, *, add_special_tokens: bool = False) -> list[str]:
        """Returns the pieces of the text, without special tokens: `unwanted` gives `un ##want ##ed`."""
        lengths = sequence_lengths(False, False, None)
        (windows,) = self._encode([(text, pair)], lengths, False, add_special_tokens)
        return windows[0].tokens

    def _lengths(
        self,
        padding: Padding,
        truncation: Truncation | None,
        max_length: int | None,
        stride: int,
        pad_to_multiple_of: int | None,
    ) -> SequenceLengths:
        return sequence_lengths(
            padding,
            truncation,
            max_length,
            stride=stride,
            pad_to_multiple_of=pad_to_multiple_of,
            model_max_length=self.model_max_length,
        )

    def _encode(
        self, pairs: Sequence[TextPair], lengths: SequenceLengths, are_words: bool, add_special_tokens: bool
    ) -> list[list[Encoding]]:
        """Encodes, truncates and adds special tokens; returns the windows over each text, in order.

        The Rust library could truncate by itself, but only by settings that all calls share.
        """
        rows = [[row] for row in self._encode_batch(pairs, are_words, add_special_tokens)]
        longest = None if lengths.truncation == "do_not_truncate" else lengths.max_length
        if longest is None:
            return rows
        long = [number for number, (row,) in enumerate(rows) if len(row) > longest]
        firsts = self._encode_batch([(pairs[number][0], None) for number in long], are_words, False)
        # Beside an empty first text, the second one gets its own segment from the start.
        others = [pairs[number][1] for number in long]
        beside: list[TextPair] = [([] if are_words else "", other) for other in others if other is not None]
        seconds = iter(self._encode_batch(beside, are_words, False))
        for number, first, other in zip(long, firsts, others, strict=True):
            second = None if other is None else next(seconds)
            rows[number] = self._windows(first, second, lengths, add_special_tokens)
        return rows

    def _windows(
        self, first: Encoding, second: Encoding | None, lengths: SequenceLengths, add_special_tokens: bool
    ) -> list[Encoding]:
        """Cuts a text, or a pair, that is too long, and makes rows of its windows."""
        kept = lengths.kept(
            len(first),
            len(second) if second is not None else None,
            self.num_special_tokens_to_add(second is not None) if add_special_tokens else 0,
            tie_to_first=not self._settings.uses_rust_rules,
        )
        first = self._cut(first, kept[0], lengths.stride)
        second = None if second is None else self._cut(second, kept[1], lengths.stride)
        row = self._rust.post_processor.process(first, second, add_special_tokens)
        return [row, *row.overflowing]

    def _cut(self, encoding: Encoding, size: int, stride: int) -> Encoding:
        """Keeps `size` tokens and makes windows over the others."""
        if size == 0:
            return Encoding()  # no window could hold anything
        if size == len(encoding):
            return _without_sequence(encoding)
        if size <= stride:  # the Rust library would panic
            raise ValueError(
                f"stride is {stride}, but a text was cut to {size} tokens; expected a smaller stride"
            )
        encoding.truncate(size, stride=stride, direction=self.truncation_side)
        return encoding

    def _encode_batch(
        self, pairs: Sequence[TextPair], are_words: bool, add_special_tokens: bool
    ) -> list[Encoding]:
        rows = [text if pair is None else (text, pair) for text, pair in pairs]
        try:
            return self._rust.encode_batch(
                rows, is_pretokenized=are_words, add_special_tokens=add_special_tokens
            )
        except TypeError:  # the library's word for a text that UTF-8 cannot hold, as for one that is no text
            texts = [(mended(text, are_words), pair and mended(pair, are_words)) for text, pair in pairs]
            return self._encode_batch(texts, are_words, add_special_tokens)

    def _pad_encodings(
        self, encodings: Sequence[Encoding], lengths: SequenceLengths, padding_side: Side | None
    ) -> None:
        target = lengths.target(map(len, encodings))
        if target is None:
            return
        for encoding in encodings:
            encoding.pad(
                target,
                direction=padding_side or self.padding_side,
                pad_id=self.pad_token_id,
                pad_type_id=self.pad_token_type_id,
                pad_token=self.pad_token,
            )

    def _warn_of_long_rows(self, encodings: Sequence[Encoding]) -> None:
        longest = max(map(len, encodings), default=0)
        if self.model_max_length is None or longest <= self.model_max_length or self._has_warned:
            return
        self._has_warned = True
        logger.warning(
            "a row has %d tokens, but the model reads at most %d; give truncation=True",
            longest,
            self.model_max_length,
        )


def _without_sequence(encoding: Encoding) -> Encoding:
    """Copies an encoding, which remembers its place in another row, without that memory.

    Windows over a longer row have none: make it the second half of a row, and take that window.
    """
    size = len(encoding)
    encoding.pad(2 * size, direction="left")
    encoding.truncate(size)
    return encoding.overflowing[0]


def _columns(encodings: Sequence[Encoding], names: Sequence[str]) -> dict[str, list[object]]:
    getters: dict[str, Callable[[Encoding], object]] = {
        "input_ids": attrgetter("ids"),
        "token_type_ids": attrgetter("type_ids"),
        "attention_mask": attrgetter("attention_mask"),
        "special_tokens_mask": attrgetter("special_tokens_mask"),
        "offset_mapping": attrgetter("offsets"),
        "length": len,
    }
    return {name: [getters[name](encoding) for encoding in encodings] for name in names}
