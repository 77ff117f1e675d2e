"""Rows in memory as a split that the trainer and the evaluation take batches from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from bertx.bert.config import BertConfig
from bertx.data.batch import Batch, Inputs
from bertx.data.batch_samplers import cut, longest_first
from bertx.data.encoded import EncodedDataset
from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.data.vocabulary import Vocabulary
from bertx.errors import DataError

INDEX = "bert"  # under which the model finds its ids
KINDS: Mapping[str, str] = {
    "token_ids": "input_ids",
    "segment_ids": "token_type_ids",
    "padding_mask": "attention_mask",
}
Array: TypeAlias = npt.NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Rows:
    """What a classifier is given.

    Attributes:
        features: `token_ids`, `segment_ids` and `padding_mask`, of any type, each (rows, tokens).
        labels: int64, (rows,); the classes, if known.
        sample_weight: float32, (rows,); how much each row counts in the loss; None: all the same.
    """

    features: Mapping[str, Array]
    labels: npt.NDArray[np.int64] | None = None
    sample_weight: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.features["token_ids"])

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64, (rows,): where the padding at the end of each row begins."""
        mask = self.features["padding_mask"].astype(np.bool_)
        tokens = np.arange(1, mask.shape[1] + 1)
        ends: npt.NDArray[np.int64] = np.where(mask, tokens, 0).max(axis=1, initial=0)
        return ends

    def split(self, name: str, batch_size: int, *, shuffle: bool = False) -> Split:
        """Returns the rows as a split; its orders come from torch's random numbers."""
        seed = int(torch.randint(2**31, ())) if shuffle else 0
        dataset = EncodedDataset(len(self), {})
        return Split(name, dataset, RowsLoader(self, batch_size, shuffle=shuffle), Vocabulary(), seed)


class RowsLoader(SimpleDataLoader):
    """Cuts batches from rows; padding that all rows of a batch have at their ends is left out.

    Args:
        rows: The rows.
        batch_size: Rows per batch.
        shuffle: Train in random order.
    """

    def __init__(self, rows: Rows, batch_size: int, *, shuffle: bool) -> None:
        super().__init__(batch_size, shuffle)
        self.rows = rows
        self.lengths = rows.lengths

    def evaluation_plan(self, dataset: EncodedDataset) -> list[npt.NDArray[np.int64]]:
        """Decides the batches of an evaluation: every row once, the longest first."""
        return cut(longest_first(self.lengths), self.batch_size)

    def batch(
        self,
        dataset: EncodedDataset,
        rows: npt.NDArray[np.int64],
        vocabulary: Vocabulary,
        *,
        seed: int,
        epoch: int,
        number: int,
        training: bool,
    ) -> Batch:
        """Makes the tensors of one batch; see `DataLoader.batch`."""
        tokens = max(1, int(self.lengths[rows].max()))
        tensors = {
            ours: torch.from_numpy(
                self.rows.features[name][rows, :tokens].astype(
                    np.bool_ if ours == "attention_mask" else np.int64
                )
            )
            for name, ours in KINDS.items()
        }
        inputs: Inputs = {"tokens": {INDEX: tensors}}
        if self.rows.labels is not None:
            inputs["label"] = torch.from_numpy(self.rows.labels[rows])
        if self.rows.sample_weight is not None:
            inputs["sample_weight"] = torch.from_numpy(self.rows.sample_weight[rows])
        return Batch(inputs, rows)


def rows_of(
    features: Mapping[str, npt.ArrayLike],
    y: npt.ArrayLike | None,
    sample_weight: npt.ArrayLike | None,
    *,
    config: BertConfig,
    num_classes: int,
) -> Rows:
    """Checks what a classifier is given.

    Args:
        features: `token_ids`, `segment_ids` and `padding_mask`, each (rows, tokens).
        y: Classes, (rows,).
        sample_weight: How much each row counts, (rows,).
        config: The sizes of the encoder.
        num_classes: The number of classes.

    Raises:
        ValueError: An array is missing, or has a wrong shape; there are no rows.
        DataError: An id or a class is out of range.
    """
    if missing := [name for name in KINDS if name not in features]:
        raise ValueError(f"x has no {missing[0]!r}; expected a dict of {', '.join(KINDS)}")
    arrays: dict[str, Array] = {name: np.asarray(features[name]) for name in KINDS}
    shape = arrays["token_ids"].shape
    for name, array in arrays.items():
        if array.ndim != 2 or array.shape != shape or not len(array):
            raise ValueError(
                f"{name} has the shape {array.shape}; expected (rows, tokens), as all of {', '.join(KINDS)}, "
                "with one row or more; put a single input into a list"
            )
    _check_range("token_ids", arrays["token_ids"], config.vocab_size)
    _check_range("segment_ids", arrays["segment_ids"], config.type_vocab_size)
    labels = None if y is None else _column("y", y, shape[0])
    if labels is not None:
        _check_range("y", labels, num_classes)
    weights = None if sample_weight is None else _column("sample_weight", sample_weight, shape[0])
    return Rows(
        arrays,
        None if labels is None else labels.astype(np.int64),
        None if weights is None else weights.astype(np.float32),
    )


def _column(name: str, values: npt.ArrayLike, count: int) -> Array:
    column: Array = np.asarray(values)
    if column.shape != (count,):
        raise ValueError(f"{name} has the shape {column.shape}; expected ({count},), one for each row of x")
    return column


def _check_range(name: str, array: Array, size: int) -> None:
    """Refuses what is no whole number from 0 to `size - 1`."""
    numbers = array.astype(np.float64)
    wrong = (numbers < 0) | (numbers >= size) | (numbers != np.floor(numbers))
    if wrong.any():
        value = array[wrong][0].item()
        raise DataError(f"{name}: holds {value}; expected whole numbers from 0 to {size - 1}")
