"""The family of data loaders: the batches of each epoch, as a pure function of seed and epoch.

Nothing is hidden in a loader's state: asked again for the same epoch it gives the same batches, so a run can
stop after any step and go on as if it had not.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt
import torch

from bertx.config.registrable import Registrable
from bertx.data.batch import Batch, padded_texts
from bertx.data.batch_samplers import BatchSampler, Rows, cut, longest_first
from bertx.data.collators import Collator, PaddingCollator
from bertx.data.encoded import NO_LABEL, UNSEEN_LABEL, EncodedDataset
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError, DataError

__all__ = ["Batch", "DataLoader", "SimpleDataLoader"]

DEFAULT_BATCH_SIZE = 32
ORDER, COLLATION = 0, 1  # keep the random numbers of the two apart


class DataLoader(Registrable):
    """Cuts batches from encoded data.

    Attributes:
        collator: What is done to each padded batch.
        num_workers: Threads that make batches ahead.
    """

    default_implementation = "simple"
    collator: Collator
    num_workers: int = 0

    @abstractmethod
    def plan(self, dataset: EncodedDataset, *, seed: int, epoch: int) -> list[Rows]:
        """Decides the rows of every training batch of an epoch (from 0)."""

    def num_batches(self, dataset: EncodedDataset, *, seed: int, epoch: int) -> int:
        """Returns the number of training batches of an epoch (from 0)."""
        return len(self.plan(dataset, seed=seed, epoch=epoch))

    @abstractmethod
    def evaluation_plan(self, dataset: EncodedDataset) -> list[Rows]:
        """Decides the batches of an evaluation: every row once, similar lengths together."""

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
        """Makes the tensors of one batch of a plan.

        Args:
            dataset: The data.
            rows: int64, (batch,): which rows.
            vocabulary: Numbers the labels.
            seed: Decides random masks, with epoch and number.
            epoch: From 0.
            number: The batch's place in the plan, from 0.
            training: Every row must have a known label. Otherwise other labels become `UNSEEN_LABEL`, and
                random masks are the same whatever the epoch, so that its losses can be compared.

        Raises:
            DataError: In training, a row has no label, or one that is not in the vocabulary.
        """
        inputs = padded_texts(dataset, rows)
        for name in dataset.labels if self.collator.takes_labels else ():
            ids = dataset.label_ids(name, vocabulary, rows)
            if training and (ids == UNSEEN_LABEL).any():
                _refuse_label(dataset, name, int(rows[np.argmax(ids == UNSEEN_LABEL)]), vocabulary)
            inputs[name] = torch.from_numpy(ids)
        generator = _generator(COLLATION, seed, epoch if training else 0, number)
        return Batch(self.collator.collate(inputs, generator, dataset.token_indexers), rows)


@DataLoader.register("simple")
class SimpleDataLoader(DataLoader):
    """Batches by a sampler, or of equal numbers of rows drawn at random.

    Args:
        batch_size: Rows per batch; `None`: 32. Not with `batch_sampler`.
        shuffle: Train in random order, new each epoch. `False` not with `batch_sampler`.
        drop_last: Leave out the last batch of an epoch if it is smaller. Not with `batch_sampler`.
        batch_sampler: Decides the batches instead of the three above.
        batches_per_epoch: Ends an epoch after so many batches; the next one goes on where it stopped, into
            the next pass over the data if need be. `None`: one pass.
        collator: What is done to each padded batch; `None`: nothing more.
        num_workers: Threads that make batches ahead, while others are computed; 0: none. The batches are the
            same.
    """

    def __init__(
        self,
        batch_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        batch_sampler: BatchSampler | None = None,
        batches_per_epoch: int | None = None,
        collator: Collator | None = None,
        num_workers: int = 0,
    ) -> None:
        decided = {"batch_size": batch_size is not None, "shuffle": not shuffle, "drop_last": drop_last}
        excluded = [name for name, given in decided.items() if given]
        if batch_sampler is not None and excluded:
            raise ConfigError(
                f"batch_sampler: excludes {', '.join(excluded)}; remove one or the other, or "
                f"set them in batch_sampler"
            )
        for name, value in {"batch_size": batch_size, "batches_per_epoch": batches_per_epoch}.items():
            if value is not None and value < 1:
                raise ConfigError(f"{name}: is {value}; expected 1 or more")
        if num_workers < 0:
            raise ConfigError(f"num_workers: is {num_workers}; expected 0 or more")
        self.num_workers = num_workers
        self.batch_size = batch_size or DEFAULT_BATCH_SIZE
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.batch_sampler = batch_sampler
        self.batches_per_epoch = batches_per_epoch
        self.collator = collator or PaddingCollator()

    def plan(self, dataset: EncodedDataset, *, seed: int, epoch: int) -> list[Rows]:
        """Decides the rows of every training batch of an epoch (from 0).

        Raises:
            ConfigError: Nothing is left, since the data has fewer rows than a batch and `drop_last` is set.
        """
        if self.batches_per_epoch is None:
            return self._pass(dataset, seed, epoch)
        skipped = epoch * self.batches_per_epoch
        planned: list[Rows] = []
        number = 0
        while len(planned) < self.batches_per_epoch:
            batches = self._pass(dataset, seed, number)
            planned += batches[skipped : skipped + self.batches_per_epoch - len(planned)]
            skipped = max(0, skipped - len(batches))
            number += 1
        return planned

    def num_batches(self, dataset: EncodedDataset, *, seed: int, epoch: int) -> int:
        """Returns the number of training batches of an epoch (from 0), without planning them if it can."""
        if self.batches_per_epoch is not None:
            return self.batches_per_epoch
        if self.batch_sampler is None:
            whole, rest = divmod(len(dataset), self.batch_size)
            found: int | None = whole + (rest > 0 and not self.drop_last)
        else:
            found = self.batch_sampler.num_batches(len(dataset))
        # A plan of nothing is refused; let it say so.
        return found or super().num_batches(dataset, seed=seed, epoch=epoch)

    def evaluation_plan(self, dataset: EncodedDataset) -> list[Rows]:
        """Decides the batches of an evaluation: every row once, the longest first."""
        if self.batch_sampler is None:
            return cut(longest_first(dataset.lengths()), self.batch_size)
        return self.batch_sampler.evaluation_batches(dataset.lengths(self.batch_sampler.sorting_keys))

    def _pass(self, dataset: EncodedDataset, seed: int, number: int) -> list[Rows]:
        generator = _generator(ORDER, seed, number)
        if self.batch_sampler is not None:
            lengths = dataset.lengths(self.batch_sampler.sorting_keys)
            batches = self.batch_sampler.batches(lengths, generator)
        else:
            rows = generator.permutation(len(dataset)) if self.shuffle else np.arange(len(dataset))
            batches = cut(rows, self.batch_size)
            if self.drop_last and len(batches[-1]) < self.batch_size:
                batches.pop()
        if not batches:
            raise ConfigError(
                f"drop_last: leaves no batch of {len(dataset)} rows; lower batch_size or unset drop_last"
            )
        return batches


def _generator(purpose: int, seed: int, *numbers: int) -> np.random.Generator:
    sequence = np.random.SeedSequence([seed, *numbers], spawn_key=(purpose,))
    return np.random.Generator(np.random.PCG64(sequence))


def _refuse_label(dataset: EncodedDataset, name: str, row: int, vocabulary: Vocabulary) -> None:
    column = dataset.labels[name]
    if column.codes[row] == NO_LABEL:
        raise DataError(
            f"instance {dataset.identifier(row)}: {name!r} is missing; every training instance needs a label"
        )
    vocabulary.get_token_index(column.labels[column.codes[row]], column.namespace)  # raises
