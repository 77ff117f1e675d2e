"""What a config describes: data, vocabulary, model and trainer."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Literal, TypeAlias

import numpy as np
import torch

from bertx.config.registrable import Configurable, Lazy
from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.loader import DataLoader, SimpleDataLoader
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError
from bertx.models.model import Model
from bertx.training.processes.distributed import Distributed
from bertx.training.trainer import Trainer

SplitName: TypeAlias = Literal["train", "validation", "test"]

LARGEST_SEED = 2**32 - 1  # NumPy takes no larger one
WHILE_BUILDING = "while building "  # how the notes of `Lazy.build` begin


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
        bag_of_words_baseline: Whether to report what counting words reaches on validation and test data.
        vocabulary: How labels are numbered.
        datasets_for_vocab_creation: The splits whose labels make the vocabulary.
        random_seed: Feeds Python's, NumPy's and torch's generators, and the order of the data; null: 0 for
            the order, and generators as they are.
        numpy_seed: NumPy's seed, if it is to differ.
        pytorch_seed: torch's seed, if it is to differ.
        distributed: The processes that train together; None: one.
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
        distributed: Distributed | None = None,
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
        self.seeds = {
            "random_seed": random_seed,
            "numpy_seed": random_seed if numpy_seed is None else numpy_seed,
            "pytorch_seed": random_seed if pytorch_seed is None else pytorch_seed,
        }
        self.distributed = distributed
        self.include_in_archive = include_in_archive or []
        self._check()

    def _check(self) -> None:
        if self.evaluate_on_test and "test" not in self.data_paths:
            raise ConfigError("evaluate_on_test: there is no test_data_path to evaluate on")
        for name in self.vocabulary_splits:
            if name not in self.data_paths:
                raise ConfigError(f'datasets_for_vocab_creation: there is no {name}_data_path for "{name}"')
        _check_seeds(self.seeds)
        _check_patterns(self.include_in_archive)

    @property
    def order_seed(self) -> int:
        """Decides the order of the data and random masks."""
        return self.seeds["random_seed"] or 0

    def reader(self, split: SplitName) -> DatasetReader:
        """Returns the reader of a split."""
        return self.dataset_reader if split == "train" else self.validation_dataset_reader

    def loader(self, split: SplitName) -> DataLoader:
        """Returns the data loader of a split."""
        return self.data_loader if split == "train" else self.validation_data_loader

    def seed_everything(self, rank: int = 0) -> None:
        """Seeds the generators of Python, NumPy and torch.

        Args:
            rank: Which of several processes this is, each of which drops out other units; 0: all do alike.
        """
        seeds = {
            name: None if seed is None else (seed + rank) % (LARGEST_SEED + 1)
            for name, seed in self.seeds.items()
        }
        if (seed := seeds["random_seed"]) is not None:
            random.seed(seed)
        if (seed := seeds["numpy_seed"]) is not None:
            np.random.seed(seed)
        if (seed := seeds["pytorch_seed"]) is not None:
            torch.manual_seed(seed)


def _check_seeds(seeds: Mapping[str, int | None]) -> None:
    for name, seed in seeds.items():
        if seed is not None and not 0 <= seed <= LARGEST_SEED:
            raise ConfigError(f"{name}: {seed}; expected 0 to {LARGEST_SEED}, or null")


def _check_patterns(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        path = PurePath(pattern)
        if not pattern or path.is_absolute() or ".." in path.parts:
            raise ConfigError(
                f'include_in_archive: "{pattern}" is not inside the run folder; expected a pattern such as '
                '"checkpoints/*.json"'
            )


@contextmanager
def settings_to_blame() -> Iterator[None]:
    """Turns the ValueError of a component that refuses its settings into an error of the config."""
    try:
        yield
    except ValueError as error:
        where = [note for note in getattr(error, "__notes__", []) if note.startswith(WHILE_BUILDING)]
        if not where:
            raise
        raise ConfigError("\n".join([str(error), *where])) from error
