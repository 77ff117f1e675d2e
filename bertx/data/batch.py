"""One batch: padded tensors, ready for `model(**batch.inputs)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bertx.data.encoded import EncodedDataset
from bertx.data.padded_lengths import padded_lengths
from bertx.data.token_indexers.token_indexer import Indexed

Inputs: TypeAlias = "dict[str, Tensor | dict[str, dict[str, Tensor]]]"
"""By name of the argument of `Model.forward`: text fields are tensors by indexer and kind, labels are ids."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows of a data set.

    Attributes:
        inputs: For a text field `tokens` and an indexer `bert`, `inputs["tokens"]["bert"]` has `input_ids`
            (int64), `attention_mask` (bool, True for a real token) and `token_type_ids` (int64), each
            (batch, tokens). Label fields are int64, (batch,).
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
        """Copies the tensors to a device; those that are there already are shared."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True), self.rows)

    def part(self, rows: slice) -> Batch:
        """Returns some of the rows, without copying; they stay padded as they are."""
        return self._map(lambda tensor: tensor[rows], self.rows[rows])

    def share(self, rank: int, size: int) -> Batch:
        """Returns the rows that are one process's share; one row as a filler if there is none for it."""
        if size == 1:
            return self
        if rank < self.size:
            return self.part(slice(rank, None, size))
        return replace(self.part(slice(0, 1)), is_filler=True)

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


def padded_texts(dataset: EncodedDataset, rows: npt.NDArray[np.int64]) -> Inputs:
    """Pads the text fields of some rows, each to its longest."""
    return {
        name: {
            indexer: pad(indexed, rows, dataset.token_indexers[indexer].tokenizer.pad_token_id)
            for indexer, indexed in by_indexer.items()
        }
        for name, by_indexer in dataset.texts.items()
    }


def pad(indexed: Indexed, rows: npt.NDArray[np.int64], pad_token_id: int) -> dict[str, Tensor]:
    """Pads rows at the right to the longest of them, or a little more; never beyond the longest of all.

    Args:
        indexed: The ids of all rows.
        rows: int64, (batch,): which.
        pad_token_id: Fills the rest.

    Returns:
        `input_ids` int64, `attention_mask` bool, `token_type_ids` int64, each (batch, tokens).
    """
    starts = indexed.offsets[rows]  # (batch,)
    lengths = indexed.offsets[rows + 1] - starts  # (batch,)
    longest = padded_lengths(lengths.max(initial=0, keepdims=True))[0]
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
