"""Drafts: what is found out about a run before it is made, without weights and without a step."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bertx.assembly import (
    DataSettings,
    check_lengths,
    encode_splits,
    make_model,
    make_splits,
    make_vocabulary,
)
from bertx.bert.encoders import Encoders
from bertx.bert.heads import BertForMaskedLM
from bertx.bert.model import BertModel
from bertx.config.construct import filled
from bertx.config.registrable import Lazy
from bertx.data.split import Split
from bertx.errors import ConfigError
from bertx.experiment import Experiment, settings_to_blame
from bertx.paths import find_data, with_paths_found
from bertx.runs.components.from_archive import with_archive
from bertx.runs.preparation import cache_folder
from bertx.training.gradient_descent import GradientDescentTrainer
from bertx.training.metric_tracker import MetricTracker
from bertx.training.schedulers.training_length import training_length


@dataclass(frozen=True)
class Draft:
    """What is known of a run before it is made.

    Attributes:
        metrics: The names of what it will report.
        num_steps: Its optimizer steps; None: a trainer of the user's own does not tell.
        num_validations: How often it is validated; None likewise.
        num_parameters: The size of the model.
        files: The files that each split is read from.
    """

    metrics: frozenset[str]
    num_steps: int | None
    num_validations: int | None
    num_parameters: int
    files: dict[str, list[Path]]


class Drafting:
    """Makes drafts. Data are encoded in doing so, and then lie in the cache for all runs.

    Args:
        search: Folders that relative paths of configs start from.
    """

    def __init__(self, search: tuple[Path, ...]) -> None:
        self._search = search
        self._made: dict[str, Draft] = {}

    def draft(self, planned: Lazy[Experiment]) -> Draft:
        """Reads the data of a config, and builds its model without weights; equal configs share a draft.

        Raises:
            BertxError: What the config names is missing or does not fit.
        """
        key = json.dumps(filled(planned), sort_keys=True)
        if key not in self._made:
            # What is to be said of the data is said once.
            with _quiet() if self._made else nullcontext():
                self._made[key] = self._draft(planned)
        return self._made[key]

    def _draft(self, planned: Lazy[Experiment]) -> Draft:
        planned = with_archive(planned, self._search)
        encoders = _WithoutWeights(self._search)
        with settings_to_blame():
            experiment = with_paths_found(planned, self._search).build_with(encoders=encoders)
        if "validation" not in experiment.data_paths:
            raise ConfigError("validation_data_path: is missing; a study compares what validations find")
        encoded = encode_splits(experiment, planned, DataSettings(self._search, cache_folder()))
        vocabulary = make_vocabulary(experiment, encoded)
        model = make_model(experiment, vocabulary, encoders, encoded["train"].counts())
        for name, dataset in encoded.items():
            check_lengths(model, dataset, experiment.data_paths[name])
        train = make_splits(experiment, encoded, vocabulary)["train"]
        metrics = frozenset({*model.get_metrics(), "loss"})
        return Draft(
            metrics,
            *_length(planned, train, metrics),
            sum(parameter.numel() for parameter in model.parameters()),
            {
                name: experiment.reader(name).files(find_data(path, self._search))
                for name, path in experiment.data_paths.items()
            },
        )


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("bertx.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class _WithoutWeights(Encoders):
    """Encoders of the right sizes, whose weights are not read."""

    def _load(self, model: BertModel | BertForMaskedLM, name: str) -> None:
        """Leaves the model without weights."""


def _length(
    planned: Lazy[Experiment], train: Split, metrics: frozenset[str]
) -> tuple[int | None, int | None]:
    """Counts the steps and validations of a run, and checks what chooses its best weights."""
    trainer = planned.settings["trainer"]
    if trainer.maker is not GradientDescentTrainer:
        return None, None
    settings = filled(trainer)
    MetricTracker(settings["validation_metric"]).require(dict.fromkeys(metrics, 0.0))
    length = training_length(
        train, settings["num_epochs"], settings["max_steps"], settings["num_gradient_accumulation_steps"]
    )
    steps = range(1, length.num_steps + 1)
    return length.num_steps, sum(length.is_mark(step, settings["validate_every"]) for step in steps)
