"""Model inputs from ids: `[CLS] A [SEP] B [SEP]`, its segments and masks, and padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from bertx.bert.tokenization.batch_encoding import BatchEncoding, TensorType, Values, as_tensors
from bertx.bert.tokenization.sequence_lengths import Padding, Truncation, sequence_lengths
from bertx.bert.tokenization.token_table import TokenTable
from bertx.bert.tokenization.tokenizer_settings import Side, TokenizerSettings


class SequenceLayout(TokenTable):
    """Puts special tokens around ids, shortens and pads them.

    Args:
        rust: The tokenizer of the Rust library.
        settings: The options.
    """

    def __init__(self, rust: Tokenizer, settings: TokenizerSettings) -> None:
        super().__init__(
            rust,
            settings.roles,
            wordpieces_prefix=settings.wordpieces_prefix,
            clean_up_tokenization_spaces=settings.clean_up_tokenization_spaces,
        )
        self._settings = settings
        self.model_max_length = settings.model_max_length
        self.padding_side: Side = settings.padding_side
        self.truncation_side: Side = settings.truncation_side

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Returns how many special tokens a text, or a pair of texts, gets."""
        return 3 if pair else 2

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Returns `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`."""
        cls, sep = self.cls_token_id, self.sep_token_id
        return [cls, *token_ids_0, sep, *([] if token_ids_1 is None else [*token_ids_1, sep])]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Returns 0 for `[CLS] A [SEP]` and 1 for `B [SEP]`."""
        first = [0] * (len(token_ids_0) + 2)
        return first if token_ids_1 is None else first + [1] * (len(token_ids_1) + 1)

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Returns 1 for special tokens, 0 for others.

        Args:
            token_ids_0: The ids of A.
            token_ids_1: The ids of B.
            already_has_special_tokens: `token_ids_0` is a whole input, in which the ids of special
                tokens are special.

        Raises:
            ValueError: There is a second text beside a whole input.
        """
        if already_has_special_tokens:
            if token_ids_1 is not None:
                raise ValueError(
                    "token_ids_1 was given beside a whole input; expected all ids in token_ids_0"
                )
            special = set(self.all_special_ids)
            return [int(int(id_) in special) for id_ in token_ids_0]
        first = [1, *[0] * len(token_ids_0), 1]
        return first if token_ids_1 is None else [*first, *[0] * len(token_ids_1), 1]

    def prepare_for_model(
        self,
        ids: Sequence[int],
        pair_ids: Sequence[int] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: Padding = False,
        truncation: Truncation | None = None,
        max_length: int | None = None,
        stride: int = 0,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_tensors: TensorType | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
    ) -> BatchEncoding:
        """Makes a model input of the ids of a text, or of a pair.

        Args:
            ids: Ids of the first text, as from `convert_tokens_to_ids`.
            pair_ids: Ids of the second text.
            add_special_tokens: Make it `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`.
            padding: What the row is filled to.
            truncation: Which text is cut.
            max_length: Most tokens.
            stride: Tokens that stay and are returned as overflowing as well.
            pad_to_multiple_of: Fill the row to a multiple of this.
            padding_side: Overrides the tokenizer's own.
            return_tensors: `pt` or `np`, of shape (1, tokens).
            return_overflowing_tokens: Return what was cut off one text as `overflowing_tokens`.
            return_special_tokens_mask: Return 1 for special tokens and padding.

        Raises:
            ValueError: Options contradict each other, or what was cut off two texts should be returned.
        """
        lengths = sequence_lengths(
            padding,
            truncation,
            max_length,
            stride=stride,
            pad_to_multiple_of=pad_to_multiple_of,
            model_max_length=self.model_max_length,
        )
        size = None if pair_ids is None else len(pair_ids)
        specials = self.num_special_tokens_to_add(pair_ids is not None) if add_special_tokens else 0
        kept = lengths.kept(len(ids), size, specials, tie_to_first=True)
        first, cut_off = self._divide(ids, kept[0], stride)
        second, cut_off_second = (None, []) if pair_ids is None else self._divide(pair_ids, kept[1], stride)
        if return_overflowing_tokens and cut_off and cut_off_second:
            raise ValueError(
                "what was cut off two texts cannot be returned as one; expected truncation 'only_first' or "
                "'only_second'"
            )
        values = self._joined(first, second) if add_special_tokens else _bare(first, second)
        if not return_special_tokens_mask:
            del values["special_tokens_mask"]
        if return_overflowing_tokens:
            values["overflowing_tokens"] = cut_off or cut_off_second
        return self.pad(
            values if return_tensors is None else {name: [row] for name, row in values.items()},
            padding=lengths.padding,
            max_length=lengths.max_length,
            pad_to_multiple_of=pad_to_multiple_of,
            padding_side=padding_side,
            return_tensors=return_tensors,
        )

    def pad(
        self,
        encoded_inputs: Mapping[str, Values] | Sequence[Mapping[str, Values]],
        padding: Padding = True,
        max_length: int | None = None,
        *,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_attention_mask: bool = True,
        return_tensors: TensorType | None = None,
    ) -> BatchEncoding:
        """Fills rows of ids and what goes with them to one length.

        Args:
            encoded_inputs: `input_ids` and more by name, of one row or of a batch; or one such dict per row.
                `attention_mask`, `token_type_ids` and `special_tokens_mask` are filled too, others are not.
            padding: What rows are filled to: True or `longest`, `max_length`.
            max_length: The length for `max_length`; `None` is `model_max_length`.
            pad_to_multiple_of: Fill rows to a multiple of this.
            padding_side: Overrides the tokenizer's own.
            return_attention_mask: Make an `attention_mask` where there is none.
            return_tensors: `pt` or `np`; `None` returns what was given: lists, tensors or arrays.

        Raises:
            ValueError: There are no `input_ids`, or rows of different lengths should become a tensor.
        """
        if not isinstance(encoded_inputs, Mapping):
            names = encoded_inputs[0] if encoded_inputs else {}
            encoded_inputs = {name: [row[name] for row in encoded_inputs] for name in names}
        if "input_ids" not in encoded_inputs:
            raise ValueError(
                f"there are no input_ids; expected them among {', '.join(encoded_inputs) or 'nothing'}"
            )
        if return_tensors is None:
            return_tensors = _tensor_type(encoded_inputs["input_ids"])
        lists = {name: _plain(value) for name, value in encoded_inputs.items()}
        is_batch = any(isinstance(row, list) for row in lists["input_ids"])
        columns = {name: _rows(value, is_batch) for name, value in lists.items()}
        rows = columns["input_ids"]
        if return_attention_mask and "attention_mask" not in columns:
            columns["attention_mask"] = [[1] * len(row) for row in rows]
        lengths = sequence_lengths(
            padding,
            False,
            max_length,
            pad_to_multiple_of=pad_to_multiple_of,
            model_max_length=self.model_max_length,
        )
        target = lengths.target([len(row) for row in rows])
        if target is not None:
            self._fill(columns, target, padding_side or self.padding_side)
        result: dict[str, Values] = {name: rows if is_batch else rows[0] for name, rows in columns.items()}
        return BatchEncoding(as_tensors(result, return_tensors))

    def _fill(self, columns: dict[str, list[list[int]]], target: int, side: Side) -> None:
        fillers = {
            "input_ids": self.pad_token_id,
            "token_type_ids": self.pad_token_type_id,
            "attention_mask": 0,
            "special_tokens_mask": 1,
        }
        for name in fillers.keys() & columns.keys():
            for number, row in enumerate(columns[name]):
                filling = [fillers[name]] * (target - len(row))
                columns[name][number] = row + filling if side == "right" else filling + row

    def _joined(self, first: list[int], second: list[int] | None) -> dict[str, Values]:
        return {
            "input_ids": self.build_inputs_with_special_tokens(first, second),
            "token_type_ids": self.create_token_type_ids_from_sequences(first, second),
            "special_tokens_mask": self.get_special_tokens_mask(first, second),
        }

    def _divide(self, ids: Sequence[int], size: int, stride: int) -> tuple[list[int], list[int]]:
        """Returns what stays and what goes, with `stride` tokens that stay as well."""
        row = list(ids)
        if size >= len(row):
            return row, []
        if self.truncation_side == "right":
            return row[:size], row[max(0, size - stride) :]
        gone = len(row) - size
        return row[gone:], row[: gone + stride]


def _bare(first: list[int], second: list[int] | None) -> dict[str, Values]:
    row = [*first, *(second or [])]
    return {"input_ids": row, "token_type_ids": [0] * len(row), "special_tokens_mask": [0] * len(row)}


def _plain(value: Values) -> list[object]:
    """Makes lists of tensors and arrays, outside and inside."""
    outer: list[object] = value.tolist() if isinstance(value, Tensor | np.ndarray) else list(value)
    return [row.tolist() if isinstance(row, Tensor | np.ndarray) else row for row in outer]


def _rows(value: list[object], is_batch: bool) -> list[list[int]]:
    """Names the type of lists of rows, of which a single row becomes one."""
    return cast("list[list[int]]", value if is_batch else [value])


def _tensor_type(value: Values) -> TensorType | None:
    """Tells whether values, or their rows, are tensors or arrays."""
    inner = value[0] if isinstance(value, list) and value else value
    return "pt" if isinstance(inner, Tensor) else "np" if isinstance(inner, np.ndarray) else None
