"""What a config describes: data, vocabulary, model and trainer, and how they are put together."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import pkgutil
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch

from bertx.bert.encoders import Encoders
from bertx.config.construct import Places, filled, plan
from bertx.config.registrable import Configurable, Lazy
from bertx.config.signatures import config_parameters
from bertx.config.suggestions import is_slip
from bertx.data.cache import encode_file
from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.encoded import EncodedDataset
from bertx.data.loader import DataLoader, SimpleDataLoader
from bertx.data.split import Split
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError, DataError
from bertx.models.model import Model
from bertx.training.trainer import Trainer

logger = logging.getLogger(__name__)

SplitName: TypeAlias = Literal["train", "validation", "test"]


class Experiment(Configurable):
    """A whole experiment.

    Args:
        dataset_reader: Reads the training data, and the other splits if they have no reader of their own.
        train_data_path: The training data; relative to the config file's folder, or to the working directory.
        model: What to train.
        trainer: How to train it.
        data_loader: Cuts the data into batches.
        validation_dataset_reader: Reads validation and test data, and prediction input.
        validation_data_path: The data that choose the best epoch.
        validation_data_loader: Cuts validation and test data into batches.
        test_data_path: The data for a last evaluation.
        evaluate_on_test: Whether to evaluate the best weights on the test data after training.
        bag_of_words_baseline: Whether to report what counting words alone reaches on validation and test data.
        vocabulary: How labels are numbered.
        datasets_for_vocab_creation: The splits whose labels make the vocabulary.
        random_seed: Feeds Python's, NumPy's and torch's generators, and the order of the data; null: 0 for
            the order, and generators as they are.
        numpy_seed: NumPy's seed, if it is to differ.
        pytorch_seed: torch's seed, if it is to differ.
        include_in_archive: Further files for `model.tar.gz`: patterns relative to the run folder.
    """

    def __init__(
        self,
        dataset_reader: DatasetReader,
        train_data_path: str,
        model: Lazy[Model],
        trainer: Lazy[Trainer],
        *,
        data_loader: DataLoader | None = None,
        validation_dataset_reader: DatasetReader | None = None,
        validation_data_path: str | None = None,
        validation_data_loader: DataLoader | None = None,
        test_data_path: str | None = None,
        evaluate_on_test: bool = False,
        bag_of_words_baseline: bool = False,
        vocabulary: Lazy[Vocabulary] | None = None,
        datasets_for_vocab_creation: list[SplitName] | None = None,
        random_seed: int | None = 13370,
        numpy_seed: int | None = None,
        pytorch_seed: int | None = None,
        include_in_archive: list[str] | None = None,
    ) -> None:
        self.dataset_reader, self.model, self.trainer = dataset_reader, model, trainer
        self.data_loader = data_loader or SimpleDataLoader()
        self.validation_dataset_reader = validation_dataset_reader or dataset_reader
        self.validation_data_loader = validation_data_loader or self.data_loader
        self.vocabulary = vocabulary
        self.vocabulary_splits = datasets_for_vocab_creation or ["train"]
        self.data_paths: dict[SplitName, str] = {"train": train_data_path}
        if validation_data_path is not None:
            self.data_paths["validation"] = validation_data_path
        if test_data_path is not None:
            self.data_paths["test"] = test_data_path
        self.evaluate_on_test = evaluate_on_test
        self.bag_of_words_baseline = bag_of_words_baseline
        if evaluate_on_test and test_data_path is None:
            raise ConfigError("evaluate_on_test: there is no test_data_path to evaluate on")
        for name in self.vocabulary_splits:
            if name not in self.data_paths:
                raise ConfigError(f'datasets_for_vocab_creation: there is no {name}_data_path for "{name}"')
        self.random_seed = random_seed
        self.numpy_seed = random_seed if numpy_seed is None else numpy_seed
        self.pytorch_seed = random_seed if pytorch_seed is None else pytorch_seed
        self.include_in_archive = include_in_archive or []

    def reader(self, split: SplitName) -> DatasetReader:
        """Returns the reader of a split."""
        return self.dataset_reader if split == "train" else self.validation_dataset_reader

    def loader(self, split: SplitName) -> DataLoader:
        """Returns the data loader of a split."""
        return self.data_loader if split == "train" else self.validation_data_loader

    def seed_everything(self) -> None:
        """Seeds the generators of Python, NumPy and torch."""
        if self.random_seed is not None:
            random.seed(self.random_seed)
        if self.numpy_seed is not None:
            np.random.seed(self.numpy_seed)
        if self.pytorch_seed is not None:
            torch.manual_seed(self.pytorch_seed)


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


def plan_experiment(
    config: object, source: str = "config", positions: Places | None = None
) -> Lazy[Experiment]:
    """Checks a config; nothing is built.

    Raises:
        ConfigError: One line for each problem.
    """
    register_components()
    planned = plan(Experiment, config, source, positions)
    check_index(planned, source)
    return planned


def check_index(planned: Lazy[Experiment], source: str = "config") -> None:
    """Checks that each reader has the token indexer that the model reads.

    The names of token indexers are the user's own, so that a slip in one shows only beside the model.

    Raises:
        ConfigError: One does not.
    """
    model = planned.settings["model"]
    parameter = config_parameters(model.maker).get("index")
    if parameter is None:
        return
    index = model.settings.get("index", parameter.default)
    for key in ("dataset_reader", "validation_dataset_reader"):
        reader = planned.settings.get(key)
        indexers = None if reader is None else reader.settings.get("token_indexers")
        if isinstance(indexers, dict) and index not in indexers:
            place = next((lazy.place for lazy in indexers.values() if lazy.place), None) or source
            hint = f'; did you mean "{index}"?' if any(is_slip(name, str(index)) for name in indexers) else ""
            raise ConfigError(
                f'{place}: {key}.token_indexers: none is called "{index}", which the model reads '
                f"(they are called: {', '.join(indexers)}){hint}"
            )


def register_components() -> None:
    """Imports every module of the families, so that all that bertx ships has its registered name."""
    for family in ("data.dataset_readers", "data.token_indexers", "metrics", "models", "training.callbacks"):
        package = importlib.import_module(f"bertx.{family}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"bertx.{family}.{module.name}")
    for name in ("data.loader", "data.collators", "data.batch_samplers", "training.gradient_descent"):
        importlib.import_module(f"bertx.{name}")


def find_data(path: str, search: Sequence[Path]) -> Path:
    """Finds a data file or folder.

    Raises:
        DataError: It is in none of the folders.
    """
    candidates = list(dict.fromkeys(folder / Path(path).expanduser() for folder in search))
    for candidate in candidates:
        # A pattern such as `novels/*.txt` is left to the reader.
        if candidate.exists() or any(sign in path for sign in "*?["):
            return candidate
    looked_in = ", ".join(str(folder.absolute()) for folder in search)
    raise DataError(
        f"{path}: no such file; looked in {looked_in} (the config's folder, the working directory)"
    )


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
    counter: dict[str, Counter[str]] = {}
    for name in experiment.vocabulary_splits:
        for namespace, counts in encoded[name].counts().items():
            counter.setdefault(namespace, Counter()).update(counts)
    if experiment.vocabulary is None:
        return Vocabulary.from_instances(counter)
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
            experiment.random_seed or 0,
        )
        for name, dataset in encoded.items()
    }


def make_model(experiment: Experiment, vocabulary: Vocabulary, encoders: Encoders) -> Model:
    """Builds the model and checks that it reads what the token indexers give.

    Raises:
        ConfigError: It asks for a token indexer that is not there, or one has pieces unknown to the encoder.
    """
    model = experiment.model.build_with(vocab=vocabulary, encoders=encoders)
    for reader in (experiment.dataset_reader, experiment.validation_dataset_reader):
        for index in model.index_names:
            if index not in reader.token_indexers:
                known = ", ".join(sorted(reader.token_indexers))
                raise ConfigError(
                    f'model.index: "{index}" is not one of the dataset reader\'s token_indexers ({known})'
                )
            pieces = len(reader.token_indexers[index].tokenizer)
            if pieces > model.encoder_config.vocab_size:
                raise ConfigError(
                    f"token_indexers.{index}: its tokenizer has {pieces} pieces, the encoder only "
                    f"{model.encoder_config.vocab_size}; name the same encoder in both places"
                )
    return model


def check_lengths(model: Model, dataset: EncodedDataset, name: str) -> None:
    """Checks that no sequence is longer than the encoder takes.

    Raises:
        DataError: One is.
    """
    longest = int(dataset.lengths().max(initial=0))
    allowed = model.encoder_config.max_position_embeddings
    if longest > allowed:
        raise DataError(
            f"{name}: the longest text has {longest} pieces, but the encoder takes at most {allowed}; "
            f"set max_pieces of the token indexer to {allowed} or less"
        )
