"""The family of batch samplers: which rows go into one batch.

Rows of similar length go together, so that little of a batch is padding. Noise on the lengths makes every
epoch's batches different.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bertx.config.registrable import Registrable
from bertx.data.padded_lengths import padded_lengths
from bertx.errors import ConfigError

Rows = npt.NDArray[np.int64]
Lengths = npt.NDArray[np.int64]


class BatchSampler(Registrable):
    """Cuts a data set into batches, knowing only the lengths of its rows.

    Attributes:
        sorting_keys: The text fields whose length counts, the longest of a row; `None`: all.
    """

    sorting_keys: Sequence[str] | None = None

    @abstractmethod
    def batches(self, lengths: Lengths, generator: np.random.Generator) -> list[Rows]:
        """Cuts one epoch of training.

        Args:
            lengths: int64, (rows,), in tokens.
            generator: The only source of randomness.

        Returns:
            int64, (rows of the batch,) each: row numbers, no row twice.
        """

    def num_batches(self, num_rows: int) -> int | None:
        """Returns the number of batches of an epoch if that of the rows decides it; None: it does not."""
        return None

    @abstractmethod
    def evaluation_batches(self, lengths: Lengths) -> list[Rows]:
        """Cuts all rows, the longest first, without randomness."""


@BatchSampler.register("bucket")
class BucketBatchSampler(BatchSampler):
    """Batches of equal numbers of rows of similar length.

    Source: AllenNLP's `bucket`; there `drop_last` always drops the longest rows, here random ones.

    Args:
        batch_size: Rows per batch.
        padding_noise: Padded lengths are changed by up to this fraction before rows are sorted, at random;
            rows that are padded to one length meet at random without it.
        drop_last: Leave out as many rows, drawn anew each epoch, as a last, smaller batch would have.
        shuffle: Train in random order of batches; otherwise in order of length.
        sorting_keys: The text fields whose length counts, the longest of a row; `None`: all.
    """

    def __init__(
        self,
        batch_size: int,
        padding_noise: float = 0.1,
        drop_last: bool = False,
        shuffle: bool = True,
        sorting_keys: Sequence[str] | None = None,
    ) -> None:
        _check_settings("batch_size", batch_size, padding_noise)
        self.batch_size = batch_size
        self.padding_noise = padding_noise
        self.drop_last = drop_last
        self.shuffle = shuffle
        self.sorting_keys = sorting_keys

    def batches(self, lengths: Lengths, generator: np.random.Generator) -> list[Rows]:
        """Cuts one epoch of training; see `BatchSampler`."""
        rows = generator.permutation(len(lengths))  # rows of equal length meet anew each epoch
        if self.drop_last:
            rows = rows[: len(rows) // self.batch_size * self.batch_size]
        order = rows[_noisy_order(lengths[rows], self.padding_noise, generator)]
        return _shuffled(cut(order, self.batch_size), self.shuffle, generator)

    def num_batches(self, num_rows: int) -> int:
        """Returns the number of batches of an epoch."""
        return num_rows // self.batch_size if self.drop_last else math.ceil(num_rows / self.batch_size)

    def evaluation_batches(self, lengths: Lengths) -> list[Rows]:
        """Cuts all rows, the longest first."""
        return cut(longest_first(lengths), self.batch_size)


@BatchSampler.register("max_tokens_sampler")
class MaxTokensBatchSampler(BatchSampler):
    """Batches of rows of similar length, as many as fit a budget of tokens, padding included.

    A row longer than the budget is a batch of its own.

    Source: AllenNLP's `max_tokens_sampler`.

    Args:
        max_tokens: The budget: longest row of the batch times number of rows.
        padding_noise: Padded lengths are changed by up to this fraction before rows are sorted, at random;
            rows that are padded to one length meet at random without it.
        sorting_keys: The text fields whose length counts, the longest of a row; `None`: all.
        shuffle: Train in random order of batches; otherwise in order of length.
    """

    def __init__(
        self,
        max_tokens: int,
        padding_noise: float = 0.1,
        sorting_keys: Sequence[str] | None = None,
        shuffle: bool = True,
    ) -> None:
        _check_settings("max_tokens", max_tokens, padding_noise)
        self.max_tokens = max_tokens
        self.padding_noise = padding_noise
        self.sorting_keys = sorting_keys
        self.shuffle = shuffle

    def batches(self, lengths: Lengths, generator: np.random.Generator) -> list[Rows]:
        """Cuts one epoch of training; see `BatchSampler`."""
        rows = generator.permutation(len(lengths))
        order = rows[_noisy_order(lengths[rows], self.padding_noise, generator)]
        return _shuffled(filled(order, padded_lengths(lengths), self.max_tokens), self.shuffle, generator)

    def evaluation_batches(self, lengths: Lengths) -> list[Rows]:
        """Cuts all rows, the longest first."""
        return filled(longest_first(lengths), padded_lengths(lengths), self.max_tokens)


def filled(order: Rows, padded: Lengths, max_tokens: int) -> list[Rows]:
    """Cuts rows into batches, as many rows in each as fit a budget.

    Args:
        order: int64, (rows,): row numbers, those of similar length one after the other.
        padded: int64, (all rows,): the length that each would be padded to.
        max_tokens: The budget: longest row of the batch times number of rows; a longer row is alone.
    """
    batches = []
    start = 0
    while start < len(order):
        most = max(1, max_tokens // max(1, int(padded[order[start]])))
        longest = np.maximum.accumulate(padded[order[start : start + most]])  # (most,)
        tokens = longest * np.arange(1, len(longest) + 1)  # (most,), growing
        fit = max(1, int(np.searchsorted(tokens, max_tokens, side="right")))
        batches.append(order[start : start + fit])
        start += fit
    return batches


def cut(order: Rows, batch_size: int) -> list[Rows]:
    """Cuts rows into batches of one size; the last may be smaller."""
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def longest_first(lengths: Lengths) -> Rows:
    """Sorts rows by falling length: too little memory shows at once, and time left is overestimated."""
    return np.argsort(-lengths, kind="stable").astype(np.int64, copy=False)


def _noisy_order(lengths: Lengths, padding_noise: float, generator: np.random.Generator) -> Rows:
    lengths = padded_lengths(lengths)  # what is padded to one length may as well meet
    noise = generator.uniform(-padding_noise, padding_noise, len(lengths))
    return np.argsort(lengths * (1 + noise), kind="stable").astype(np.int64, copy=False)


def _shuffled(batches: list[Rows], shuffle: bool, generator: np.random.Generator) -> list[Rows]:
    return [batches[place] for place in generator.permutation(len(batches))] if shuffle else batches


def _check_settings(name: str, value: int, padding_noise: float) -> None:
    if value < 1:
        raise ConfigError(f"{name}: is {value}; expected 1 or more")
    if not 0 <= padding_noise < 1:
        raise ConfigError(f"padding_noise: is {padding_noise}; expected at least 0 and less than 1")
