"""A trained run, opened: what `bertx evaluate` and `bertx predict` work with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from bertx.archive import WEIGHTS, RunFiles, open_run
from bertx.bert.encoders import Encoders
from bertx.config.overrides import Overrides, apply_overrides
from bertx.config.packages import include_package
from bertx.config.registrable import Lazy
from bertx.data.batch_samplers import cut, longest_first
from bertx.data.cache import encode_file
from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.encoded import EncodedDataset
from bertx.data.encoding import encode_instances
from bertx.data.instance import JSON, Instance, LabelField
from bertx.data.loader import Batch, SimpleDataLoader
from bertx.data.split import Split
from bertx.data.vocabulary import Vocabulary
from bertx.devices import choose_device
from bertx.errors import ConfigError
from bertx.experiment import Experiment, check_lengths, make_model, plan_experiment
from bertx.models.model import Model, Output
from bertx.training.evaluation import Evaluation, evaluate, evaluating
from bertx.training.weights import load_weights

logger = logging.getLogger(__name__)

BATCH_SIZE = 32


@dataclass(frozen=True)
class Run:
    """A trained model with all that it needs.

    Attributes:
        files: The folder it was read from; an unpacked archive lives as long as this.
        experiment: The objects of its config.
        vocabulary: Numbers the labels.
        model: The model with its best weights.
        device: Where it computes.
    """

    files: RunFiles
    experiment: Experiment
    vocabulary: Vocabulary
    model: Model
    device: torch.device

    @property
    def reader(self) -> DatasetReader:
        """Reads evaluation data and prediction input."""
        return self.experiment.validation_dataset_reader

    def evaluate(
        self,
        path: Path,
        *,
        batch_size: int | None = None,
        limit: int | None = None,
        observe: Callable[[EncodedDataset, Batch, Output], None] | None = None,
    ) -> Evaluation:
        """Computes loss and metrics over a data file.

        Args:
            path: The data.
            batch_size: Instances per batch; None: as the config's loader has it.
            limit: Read that many instances; None: all.
            observe: Called with the data, every batch and its output.

        Raises:
            DataError: The data cannot be read, or hold no labels.
        """
        dataset = encode_file(self.reader, path, settings_hash=None, cache_folder=None, limit=limit)
        check_lengths(self.model, dataset, path.name)
        loader = self.experiment.validation_data_loader
        if batch_size is not None:
            loader = SimpleDataLoader(batch_size, collator=loader.collator)
        split = Split(path.name, dataset, loader, self.vocabulary, self.experiment.random_seed or 0)
        watch = None if observe is None else partial(observe, dataset)
        return evaluate(self.model, split, device=self.device, observe=watch)

    def predict(self, inputs: Iterable[str | Mapping[str, JSON]]) -> list[dict[str, JSON]]:
        """Predicts for texts, or for records as the dataset reader knows them; order is kept.

        Raises:
            DataError: An input is not a record that the reader can read.
        """
        records = [{self.reader.text_key: text} if isinstance(text, str) else text for text in inputs]
        return self.predict_instances(
            [self.instance(f"input {number}", record) for number, record in enumerate(records, start=1)]
        )

    def instance(self, place: str, record: Mapping[str, JSON]) -> Instance:
        """Makes an instance to predict for; a label in the record is ignored, also an unknown or broken one.

        Raises:
            DataError: The reader cannot read the record; the message begins with `place`.
        """
        unlabelled = {key: value for key, value in record.items() if key != self.reader.label_key}
        instance = self.reader.instance(place, unlabelled)
        # A reader that does not tell its label_key may still have found one.
        fields = {name: field for name, field in instance.fields.items() if not isinstance(field, LabelField)}
        return Instance(fields)

    def predict_instances(
        self, instances: Sequence[Instance], batch_size: int = BATCH_SIZE
    ) -> list[dict[str, JSON]]:
        """Predicts for unlabelled instances; similar lengths are computed together, order is kept."""
        if not instances:
            return []
        dataset = encode_instances(instances, self.reader.token_indexers)
        check_lengths(self.model, dataset, "input")
        predictions: list[dict[str, JSON]] = [{} for _ in instances]
        loader = SimpleDataLoader(batch_size)
        with self.computing():
            for number, rows in enumerate(cut(longest_first(dataset.lengths()), batch_size)):
                batch = loader.batch(
                    dataset, rows, self.vocabulary, seed=0, epoch=0, number=number, training=False
                )
                output = self.model(**batch.to(self.device).inputs)
                for row, prediction in zip(rows.tolist(), readable(self.model, output), strict=True):
                    predictions[row] = prediction
        return predictions

    def computing(self) -> AbstractContextManager[None]:
        """Returns the context in which the model predicts."""
        return evaluating(self.model)


def readable(model: Model, output: Output) -> list[dict[str, JSON]]:
    """Splits the decoded output of a batch into one object per row: `label`, `probs`, `logits`."""
    columns: dict[str, list[JSON]] = {}
    for name, value in model.decode(output).items():
        if isinstance(value, Tensor):
            if value.ndim:  # a scalar such as the loss belongs to the batch
                columns[name] = decimals(value)
        else:
            columns[name] = value
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def decimals(tensor: Tensor) -> list[JSON]:
    """Returns numbers with the digits that float32 holds, and no more."""
    values = tensor.float().cpu().numpy().astype(np.float64)
    with np.errstate(divide="ignore"):
        scale = 10.0 ** (7 - np.floor(np.log10(np.abs(values), where=values != 0, out=np.zeros_like(values))))
    return cast("list[JSON]", (np.round(values * scale) / scale).tolist())


def load(
    path: str | Path,
    *,
    device: str | None = None,
    overrides: Overrides = (),
    include_packages: Sequence[str] = (),
) -> Run:
    """Opens a run folder or a `model.tar.gz`.

    Args:
        path: The folder or archive.
        device: Where to compute; None: a GPU if there is one.
        overrides: Edits of the run's config, as for `-o`.
        include_packages: Modules with components of the user's own that the run was trained with.

    Raises:
        CheckpointError: It is no run, or a broken one.
        ConfigError: Its config asks for components that are not registered.
    """
    chosen = choose_device(device)
    for name in include_packages:
        include_package(name)
    files = open_run(Path(path))
    experiment = _experiment(files, str(path), overrides, include_packages)
    encoders = Encoders.saved(files.folder / "encoder")
    vocabulary = Vocabulary.from_files(files.folder / "vocabulary")
    built = experiment.build_with(encoders=encoders)
    model = make_model(built, vocabulary, encoders)
    load_weights(model, files.folder / WEIGHTS)
    return Run(files, built, vocabulary, model.to(chosen).eval(), chosen)


def _experiment(
    files: RunFiles, name: str, overrides: Overrides, include_packages: Sequence[str]
) -> Lazy[Experiment]:
    config = apply_overrides(files.config, overrides)
    try:
        return plan_experiment(config, f"{name}: config.json")
    except ConfigError as error:
        needed = files.environment.get("include_packages")
        forgotten = (
            [module for module in needed if module not in include_packages]
            if isinstance(needed, list)
            else []
        )
        if not forgotten:
            raise
        options = " ".join(f"--include-package {module}" for module in forgotten)
        raise ConfigError(f"{error}\nthis run was trained with {options}; give it again") from None
