"""One batch: padded tensors, ready for `model(**batch.inputs)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bertx.bert.unpadding import Packing, saves_padding
from bertx.data.encoded import EncodedDataset
from bertx.data.padded_lengths import Rounding, padded_lengths
from bertx.data.token_indexers.token_indexer import Indexed

Text: TypeAlias = "dict[str, Tensor]"
Inputs: TypeAlias = "dict[str, Tensor | dict[str, Text]]"
"""By name of the argument of `Model.forward`: text fields are tensors by indexer and kind, labels are ids."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows of a data set.

    Attributes:
        inputs: For a text field `tokens` and an indexer `bert`, `inputs["tokens"]["bert"]` has `input_ids`
            (int64), `attention_mask` (bool, True for a real token) and `token_type_ids` (int64), each
            (batch, tokens); for a GPU also `packed_tokens` (int64, (total,)) and `packed_offsets` (int32,
            (batch + 1,)), which say where the real tokens are, see `Packing`. All are arguments of
            `BertModel`. Label fields are int64, (batch,).
        rows: int64, (batch,): the rows' numbers in the data set.
        is_filler: Whether it only keeps one of several processes busy that has no share in a small batch: its
            loss does not count.
    """

    inputs: Inputs
    rows: npt.NDArray[np.int64]
    is_filler: bool = False

    @property
    def size(self) -> int:
        """The number of instances."""
        return len(self.rows)

    def to(self, device: torch.device | str) -> Batch:
        """Copies the tensors to a device; those that are there already are shared.

        A GPU's are packed.
        """
        batch = self.packed_for(torch.device(device))
        return batch._map(lambda tensor: tensor.to(device, non_blocking=True), self.rows)

    def pinned(self) -> Batch:
        """Copies the tensors to memory from which a GPU can fetch them by itself."""
        return self._map(Tensor.pin_memory, self.rows)

    def packed_for(self, device: torch.device) -> Batch:
        """Adds where the real tokens are, for a GPU that can compute without padding."""
        return self._map_texts(_with_packing) if saves_padding(device) else self

    def part(self, rows: slice) -> Batch:
        """Returns some of the rows, without copying; they stay padded as they are."""
        return self._map_texts(_without_packing)._map(lambda tensor: tensor[rows], self.rows[rows])

    def share(self, rank: int, size: int) -> Batch:
        """Returns the rows that are one process's share; one row as a filler if there is none for it."""
        if size == 1:
            return self
        if rank < self.size:
            return self.part(slice(rank, None, size))
        return replace(self.part(slice(0, 1)), is_filler=True)

    def _map_texts(self, change: Callable[[Text], Text]) -> Batch:
        inputs: Inputs = {
            name: value
            if isinstance(value, Tensor)
            else {index: change(text) for index, text in value.items()}
            for name, value in self.inputs.items()
        }
        return replace(self, inputs=inputs)

    def _map(self, change: Callable[[Tensor], Tensor], rows: npt.NDArray[np.int64]) -> Batch:
        inputs: Inputs = {}
        for name, value in self.inputs.items():
            if isinstance(value, Tensor):
                inputs[name] = change(value)
            else:
                inputs[name] = {
                    indexer: {kind: change(tensor) for kind, tensor in tensors.items()}
                    for indexer, tensors in value.items()
                }
        return Batch(inputs, rows, self.is_filler)


def _with_packing(text: Text) -> Text:
    mask = text["attention_mask"]
    if "packed_tokens" in text or mask.device.type != "cpu" or (packing := Packing.of(mask)) is None:
        return text
    return {**text, "packed_tokens": packing.tokens, "packed_offsets": packing.offsets}


def _without_packing(text: Text) -> Text:
    return {kind: tensor for kind, tensor in text.items() if not kind.startswith("packed_")}


def padded_texts(
    dataset: EncodedDataset, rows: npt.NDArray[np.int64], rounded: Rounding = padded_lengths
) -> Inputs:
    """Pads the text fields of some rows, each to its longest; see `pad`."""
    return {
        name: {
            indexer: pad(indexed, rows, dataset.token_indexers[indexer].tokenizer.pad_token_id, rounded)
            for indexer, indexed in by_indexer.items()
        }
        for name, by_indexer in dataset.texts.items()
    }


def pad(
    indexed: Indexed, rows: npt.NDArray[np.int64], pad_token_id: int, rounded: Rounding = padded_lengths
) -> dict[str, Tensor]:
    """Pads rows at the right to the longest of them, or a little more; never beyond the longest of all.

    Args:
        indexed: The ids of all rows.
        rows: int64, (batch,): which.
        pad_token_id: Fills the rest.
        rounded: Tells how much more.

    Returns:
        `input_ids` int64, `attention_mask` bool, `token_type_ids` int64, each (batch, tokens).
    """
    starts = indexed.offsets[rows]  # (batch,)
    lengths = indexed.offsets[rows + 1] - starts  # (batch,)
    longest = rounded(lengths.max(initial=0, keepdims=True))[0]
    positions = np.arange(min(longest, indexed.longest))  # (tokens,)
    mask = positions < lengths[:, None]  # (batch, tokens)
    second = positions >= indexed.first_lengths[rows][:, None]  # (batch, tokens)
    input_ids = np.full(mask.shape, pad_token_id, np.int64)
    input_ids[mask] = indexed.input_ids[(starts[:, None] + positions)[mask]]
    return {
        "input_ids": torch.from_numpy(input_ids),
        "attention_mask": torch.from_numpy(mask),
        "token_type_ids": torch.from_numpy((mask & second).astype(np.int64)),
    }
