"""How the parts of an experiment are put together: encoded data, vocabulary, model."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertx.bert.encoders import Encoders
from bertx.config.construct import filled
from bertx.config.registrable import Lazy
from bertx.data.cache import encode_file
from bertx.data.encoded import EncodedDataset
from bertx.data.label_counts import Counts, add_counts
from bertx.data.split import Split
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError, DataError
from bertx.experiment import Experiment, SplitName, settings_to_blame
from bertx.models.model import Model
from bertx.paths import find_data

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSettings:
    """Where data are found and how much of them is read.

    Attributes:
        search: Folders that relative paths start from, in this order.
        cache_folder: Where encoded data are kept; None: nowhere.
        limit: Read that many instances of each split; None: all.
    """

    search: Sequence[Path]
    cache_folder: Path | None
    limit: int | None = None


def encode_splits(
    experiment: Experiment, planned: Lazy[Experiment], settings: DataSettings
) -> dict[SplitName, EncodedDataset]:
    """Reads and encodes every split that the experiment has."""
    written = filled(planned)
    encoded: dict[SplitName, EncodedDataset] = {}
    for name, path in experiment.data_paths.items():
        reader = experiment.reader(name)
        key = "dataset_reader" if reader is experiment.dataset_reader else "validation_dataset_reader"
        encoded[name] = encode_file(
            reader,
            find_data(path, settings.search),
            settings_hash=hashlib.sha256(json.dumps(written[key], sort_keys=True).encode()).hexdigest(),
            cache_folder=settings.cache_folder,
            limit=settings.limit,
        )
    return encoded


def make_vocabulary(experiment: Experiment, encoded: Mapping[SplitName, EncodedDataset]) -> Vocabulary:
    """Numbers the labels of the splits that the experiment names for it."""
    counter = add_counts(encoded[name].counts() for name in experiment.vocabulary_splits)
    if experiment.vocabulary is None:
        return Vocabulary.from_instances(counter)
    with settings_to_blame():
        return experiment.vocabulary.build_with(counter=counter)


def make_splits(
    experiment: Experiment, encoded: Mapping[SplitName, EncodedDataset], vocabulary: Vocabulary
) -> dict[SplitName, Split]:
    """Joins encoded data with their loaders."""
    return {
        name: Split(
            Path(experiment.data_paths[name]).name,
            dataset,
            experiment.loader(name),
            vocabulary,
            experiment.order_seed,
        )
        for name, dataset in encoded.items()
    }


def report_unseen_labels(splits: Mapping[SplitName, Split]) -> None:
    """Warns of labels that the vocabulary lacks: an evaluation counts them as wrong."""
    for name, split in splits.items():
        for namespace, counts in split.dataset.counts().items():
            known = split.vocabulary.get_token_to_index_vocabulary(namespace)
            unseen = [f"{label!r} ({count})" for label, count in counts.items() if label not in known]
            if unseen:
                shown = ", ".join(unseen[:5])
                logger.warning("%s data: labels that training has not seen: %s", name, shown)


def make_model(
    experiment: Experiment, vocabulary: Vocabulary, encoders: Encoders, label_counts: Counts | None = None
) -> Model:
    """Builds the model and checks that it reads what the token indexers give.

    Args:
        experiment: Describes the model and has the readers.
        vocabulary: Numbers the labels.
        encoders: Finds pretrained encoders.
        label_counts: How often each label occurs in the training data; None: the model is not to be trained.

    Raises:
        ConfigError: It asks for a token indexer that is not there, or one has pieces unknown to the encoder.
    """
    with settings_to_blame():
        model = experiment.model.build_with(vocab=vocabulary, encoders=encoders, label_counts=label_counts)
    for reader in (experiment.dataset_reader, experiment.validation_dataset_reader):
        for index, config in model.encoder_configs.items():
            if index not in reader.token_indexers:
                known = ", ".join(sorted(reader.token_indexers))
                raise ConfigError(
                    f'model.index: "{index}" is not one of the dataset reader\'s token_indexers ({known})'
                )
            pieces = len(reader.token_indexers[index].tokenizer)
            if pieces > config.vocab_size:
                raise ConfigError(
                    f"token_indexers.{index}: its tokenizer has {pieces} pieces, the encoder only "
                    f"{config.vocab_size}; name the same encoder in both places"
                )
    return model


def check_lengths(model: Model, dataset: EncodedDataset, name: str) -> None:
    """Checks that no sequence is longer than the encoder takes.

    Raises:
        DataError: One is.
    """
    for index, config in model.encoder_configs.items():
        longest, allowed = dataset.longest(index), config.max_position_embeddings
        if longest > allowed:
            raise DataError(
                f"{name}: the longest text has {longest} pieces, but the encoder takes at most {allowed}; "
                f"set max_pieces of token_indexers.{index} to {allowed} or less"
            )
