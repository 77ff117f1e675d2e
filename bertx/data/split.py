"""One split of the data, ready to be trained on or evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bertx.data.encoded import EncodedDataset
from bertx.data.loader import Batch, DataLoader
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
    """

    name: str
    dataset: EncodedDataset
    loader: DataLoader
    vocabulary: Vocabulary
    seed: int

    def __len__(self) -> int:
        return len(self.dataset)

    def num_batches(self, epoch: int) -> int:
        """Returns the number of training batches of an epoch."""
        return len(self.loader.plan(self.dataset, seed=self.seed, epoch=epoch))

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yields the training batches of an epoch (from 0); the same ones whenever asked again."""
        for number, rows in enumerate(self.loader.plan(self.dataset, seed=self.seed, epoch=epoch)):
            yield self.loader.batch(
                self.dataset, rows, self.vocabulary, seed=self.seed, epoch=epoch, number=number, training=True
            )

    def evaluation_batches(self) -> Iterator[Batch]:
        """Yields every instance once, similar lengths together."""
        for number, rows in enumerate(self.loader.evaluation_plan(self.dataset)):
            yield self.loader.batch(
                self.dataset, rows, self.vocabulary, seed=self.seed, epoch=0, number=number, training=False
            )
