"""What counting words alone reaches: a baseline that a fine-tuned encoder should beat clearly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bertx.data.encoded import EncodedDataset
from bertx.data.split import Split
from bertx.errors import ConfigError

Floats = npt.NDArray[np.float64]


class BagOfWords:
    """Naive Bayes over the word pieces of a split's first text field, without regard to their order.

    A strong baseline for short texts (Wang & Manning 2012, Baselines and Bigrams).

    Args:
        train: What to count.
        label: The label field.

    Raises:
        ConfigError: The data have no such labels.
    """

    def __init__(self, train: Split, label: str = "label") -> None:
        if label not in train.dataset.labels:
            raise ConfigError(f'bag_of_words_baseline: the data have no field "{label}" to predict')
        self.label = label
        ids = train.dataset.label_ids(label, train.vocabulary)
        num_labels = int(ids.max()) + 1
        pieces, rows = _pieces(train.dataset)
        counts = np.ones((num_labels, self._num_pieces(train.dataset)))  # add-one smoothing
        known = ids[rows] >= 0
        np.add.at(counts, (ids[rows][known], pieces[known]), 1)
        self.log_likelihood: Floats = np.log(counts / counts.sum(axis=1, keepdims=True))  # (labels, pieces)
        with np.errstate(divide="ignore"):  # a label that does not occur is never predicted
            self.log_prior: Floats = np.log(np.bincount(ids[ids >= 0], minlength=num_labels))  # (labels,)

    def accuracy(self, split: Split) -> float:
        """Returns the share of the split's instances whose label is predicted."""
        pieces, rows = _pieces(split.dataset)
        scores = np.tile(self.log_prior, (len(split), 1))  # (rows, labels)
        np.add.at(scores, rows, self.log_likelihood[:, pieces].T)
        return float((scores.argmax(axis=1) == split.dataset.label_ids(self.label, split.vocabulary)).mean())

    def _num_pieces(self, dataset: EncodedDataset) -> int:
        return max(len(indexer.tokenizer) for indexer in dataset.token_indexers.values())


def _pieces(dataset: EncodedDataset) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns every word piece of a data set and the row it stands in, both int64, (tokens,)."""
    indexed = next(iter(next(iter(dataset.texts.values())).values()))
    rows = np.repeat(np.arange(len(dataset)), np.diff(indexed.offsets))
    return np.asarray(indexed.input_ids, np.int64), rows
