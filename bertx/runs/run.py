"""A trained run, opened: what `bertx evaluate` and `bertx predict` work with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import orjson
import torch
from torch import Tensor

from bertx.assembly import check_lengths, make_model
from bertx.bert.encoders import Encoders
from bertx.config.overrides import Overrides, apply_overrides
from bertx.config.packages import include_package
from bertx.config.registrable import Lazy
from bertx.data.batch import padded_texts
from bertx.data.batch_samplers import Lengths, Rows, cut, filled, longest_first
from bertx.data.cache import encode_file
from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.encoded import EncodedDataset
from bertx.data.encoding import encode_instances
from bertx.data.instance import JSON, Instance, LabelField
from bertx.data.loader import Batch, SimpleDataLoader
from bertx.data.padded_lengths import Rounding, padded_lengths
from bertx.data.split import Split
from bertx.data.transfer import on_device
from bertx.data.vocabulary import OOV_TOKEN, PADDING_TOKEN, Vocabulary
from bertx.devices import choose_device
from bertx.errors import ConfigError, DataError
from bertx.experiment import Experiment, settings_to_blame
from bertx.models.model import Model, Output
from bertx.paths import with_paths_found
from bertx.runs.archive import WEIGHTS, RunFiles, open_run
from bertx.runs.planning import plan_experiment
from bertx.training.evaluation import Evaluation, evaluate, evaluating
from bertx.training.precision import Precision, arithmetic
from bertx.training.weights import load_weights, map_weights

# Padding included. Enough to keep a processor busy, little enough to stay in its caches.
TOKENS_PER_BATCH = 2_048


@dataclass(frozen=True)
class Run:
    """A trained model with all that it needs; it does not depend on the files it was read from.

    Attributes:
        config: The resolved config, overrides applied.
        environment: What `environment.json` holds.
        experiment: The objects of the config.
        vocabulary: Numbers the labels.
        model: The model with its best weights.
        device: Where it computes.
        computed_in: The arithmetic to compute in; None: that in which it was trained.
        rounded: The lengths that texts are padded to for a prediction.
    """

    config: Mapping[str, JSON]
    environment: Mapping[str, JSON]
    experiment: Experiment
    vocabulary: Vocabulary
    model: Model
    device: torch.device
    computed_in: Precision | None = None
    rounded: Rounding = padded_lengths

    @property
    def reader(self) -> DatasetReader:
        """Reads evaluation data and prediction input."""
        return self.experiment.validation_dataset_reader

    @property
    def precision(self) -> Precision:
        """The arithmetic to compute in, by default the one it was validated in: evaluations give the same."""
        if self.computed_in is not None:
            return self.computed_in
        found = self.experiment.trainer.settings.get("precision")
        if found == "auto":  # what was measured where it was trained
            found = self.environment.get("precision")
        return "bf16" if found == "bf16" else "fp16" if found == "fp16" else "fp32"

    def evaluate(
        self,
        path: Path,
        *,
        batch_size: int | None = None,
        observe: Callable[[EncodedDataset, Batch, Output], None] | None = None,
    ) -> Evaluation:
        """Computes loss and metrics over a data file.

        Args:
            path: The data.
            batch_size: Instances per batch; None: as the config's loader has it.
            observe: Called with the data, every batch and its output.

        Raises:
            DataError: The data cannot be read, or hold no labels.
        """
        dataset = encode_file(self.reader, path, settings_hash=None, cache_folder=None)
        check_lengths(self.model, dataset, path.name)
        loader = self.experiment.validation_data_loader
        if batch_size is not None:
            loader = SimpleDataLoader(batch_size, collator=loader.collator)
        split = Split(path.name, dataset, loader, self.vocabulary, self.experiment.order_seed)
        watch = None if observe is None else partial(observe, dataset)
        return evaluate(self.model, split, device=self.device, precision=self.precision, observe=watch)

    def predict(
        self, inputs: Iterable[str | Mapping[str, JSON]], *, batch_size: int | None = None
    ) -> list[dict[str, JSON]]:
        """Predicts for texts, or for records as the dataset reader knows them; order is kept.

        Args:
            inputs: Texts or records.
            batch_size: Inputs per batch; None: as many as fit a budget of tokens.

        Raises:
            DataError: An input is not a record that the reader can read.
        """
        records = [{self.reader.text_key: text} if isinstance(text, str) else text for text in inputs]
        instances = [self.instance(_place(number), record) for number, record in enumerate(records)]
        try:
            return self.predict_instances(instances, batch_size)
        except DataError:
            for number, instance in enumerate(instances):
                self.require_fitting(_place(number), instance)
            raise

    def instance(self, place: str, record: Mapping[str, JSON]) -> Instance:
        """Makes an instance to predict for; a label in the record is ignored, also an unknown or broken one.

        Raises:
            DataError: The reader cannot read the record; the message begins with `place`.
        """
        if self.reader.label_key in record:
            record = {key: value for key, value in record.items() if key != self.reader.label_key}
        instance = self.reader.instance(place, record)
        # A reader that does not tell its label_key may still have found one.
        if any(isinstance(field, LabelField) for field in instance.fields.values()):
            fields = instance.fields.items()
            instance = Instance({name: field for name, field in fields if not isinstance(field, LabelField)})
        return instance

    def require_fitting(self, place: str, instance: Instance) -> None:
        """Checks that the model can read an instance.

        Raises:
            DataError: It is too long; the message begins with `place`.
        """
        try:
            dataset = encode_instances([instance], self.reader.token_indexers)
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        check_lengths(self.model, dataset, place)

    def predict_instances(
        self, instances: Sequence[Instance], batch_size: int | None = None
    ) -> list[dict[str, JSON]]:
        """Predicts for unlabelled instances; similar lengths are computed together, order is kept.

        Raises:
            DataError: One is too long for the model; `require_fitting` tells which.
        """
        return self.predictions(self.encoded(instances), batch_size) if instances else []

    def encoded(self, instances: Sequence[Instance]) -> EncodedDataset:
        """Encodes instances, one or more, to predict for.

        Raises:
            DataError: One is too long for the model; `require_fitting` tells which.
        """
        dataset = encode_instances(instances, self.reader.token_indexers)
        check_lengths(self.model, dataset, "input")
        return dataset

    def predictions(self, dataset: EncodedDataset, batch_size: int | None) -> list[dict[str, JSON]]:
        """Predicts for encoded instances; similar lengths are computed together, order is kept."""
        predictions: list[dict[str, JSON]] = [{} for _ in range(len(dataset))]
        with self.computing():
            batches = self._batches(dataset.lengths(), batch_size)
            made = (Batch(padded_texts(dataset, rows, self.rounded), rows) for rows in batches)
            for batch in on_device(made, self.device):
                found = readable(self.model, self.model(**batch.inputs))
                for row, prediction in zip(batch.rows.tolist(), found, strict=True):
                    predictions[row] = prediction
        return predictions

    def _batches(self, lengths: Lengths, batch_size: int | None) -> list[Rows]:
        order = longest_first(lengths)
        if batch_size is not None:
            return cut(order, batch_size)
        return filled(order, self.rounded(lengths), TOKENS_PER_BATCH)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Is the context in which the model predicts."""
        with evaluating(self.model), arithmetic(self.precision, self.device):
            yield


def _place(number: int) -> str:
    return f"input {number + 1}"


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
    """Returns numbers with the fewest digits that tell them apart in float32; None where not finite."""
    values = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
    # orjson writes the shortest digits; as Python floats, float32 numbers would show their tails.
    written = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    return cast("list[JSON]", orjson.loads(written))


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
    with open_run(Path(path)) as files:
        config = apply_overrides(files.config, overrides)
        planned = with_paths_found(_plan(files, config, include_packages), (files.folder, Path()))
        encoders = Encoders.saved(files.folder / "encoder")
        with settings_to_blame():
            experiment = planned.build_with(encoders=encoders)
        vocabulary = saved_vocabulary(files, experiment.vocabulary)
        model = make_model(experiment, vocabulary, encoders)
        # What an archive was unpacked to is deleted, which some systems refuse for files that are mapped.
        read_weights = load_weights if files.is_unpacked else map_weights
        read_weights(model, files.folder / WEIGHTS)
        return Run(config, files.environment, experiment, vocabulary, model.to(chosen).eval(), chosen)


def saved_vocabulary(files: RunFiles, described: Lazy[Vocabulary] | None) -> Vocabulary:
    """Reads the vocabulary of a run, whose config describes it so."""
    settings = {} if described is None else described.settings
    padding_token = settings.get("padding_token", PADDING_TOKEN)
    oov_token = settings.get("oov_token", OOV_TOKEN)
    return Vocabulary.from_files(files.folder / "vocabulary", padding_token, oov_token)


def _plan(files: RunFiles, config: Mapping[str, JSON], include_packages: Sequence[str]) -> Lazy[Experiment]:
    try:
        return plan_experiment(config, f"{files.name}: config.json")
    except ConfigError as error:
        needed = files.environment.get("include_packages")
        forgotten = [str(name) for name in needed] if isinstance(needed, list) else []
        forgotten = [name for name in forgotten if name not in include_packages]
        if not forgotten:
            raise
        options = " ".join(f"--include-package {name}" for name in forgotten)
        raise ConfigError(f"{error}\nthis run was trained with {options}; give it again") from None
