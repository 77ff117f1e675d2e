"""One split of the data, ready to be trained on or evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from bertx.data.batch import Batch
from bertx.data.batch_samplers import Rows
from bertx.data.encoded import EncodedDataset
from bertx.data.loader import DataLoader
from bertx.data.prefetch import in_order
from bertx.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Split:
    """Encoded data with the loader that cuts batches from it.

    Attributes:
        name: What to call it in messages, such as `train.jsonl`.
        dataset: The encoded data.
        loader: Cuts the batches.
        vocabulary: Numbers the labels.
        seed: Decides all orders and random masks, together with the epoch.
        rank: Which of several processes this one is, from 0.
        size: How many processes share every batch.
    """

    name: str
    dataset: EncodedDataset
    loader: DataLoader
    vocabulary: Vocabulary
    seed: int
    rank: int = 0
    size: int = 1

    def __len__(self) -> int:
        return len(self.dataset)

    def plan(self, epoch: int) -> list[Rows]:
        """Returns the rows of every training batch of an epoch (from 0)."""
        return self.loader.plan(self.dataset, seed=self.seed, epoch=epoch)

    def num_batches(self, epoch: int) -> int:
        """Returns the number of training batches of an epoch."""
        return self.loader.num_batches(self.dataset, seed=self.seed, epoch=epoch)

    def largest_batch(self, epoch: int) -> Batch:
        """Makes this process's share of the batch of an epoch with the most tokens, padding included."""
        plan, lengths = self.plan(epoch), self.dataset.lengths()
        sizes = [len(rows) * int(lengths[rows].max()) for rows in plan]
        return self._batch(plan, epoch, True, sizes.index(max(sizes)))

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yields this process's share of an epoch's training batches; the same whenever asked again.

        Args:
            epoch: From 0.
            start: How many batches to leave out; they are not made.
        """
        return self._batches(self.plan(epoch), epoch, start, training=True)

    def evaluation_batches(self) -> Iterator[Batch]:
        """Yields this process's share of all instances, each once, similar lengths together."""
        return self._batches(self.loader.evaluation_plan(self.dataset), 0, 0, training=False)

    def _batches(self, plan: list[Rows], epoch: int, start: int, *, training: bool) -> Iterator[Batch]:
        make: Callable[[int], Batch] = partial(self._batch, plan, epoch, training)
        return in_order(make, range(start, len(plan)), self.loader.num_workers)

    def _batch(self, plan: list[Rows], epoch: int, training: bool, number: int) -> Batch:
        # Padded and masked as a whole before it is shared, so that all processes together compute what one
        # alone would.
        whole = self.loader.batch(
            self.dataset,
            plan[number],
            self.vocabulary,
            seed=self.seed,
            epoch=epoch,
            number=number,
            training=training,
        )
        return whole.share(self.rank, self.size)
