"""From a config to an experiment that is ready to be trained."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from bertx.assembly import (
    DataSettings,
    check_lengths,
    encode_splits,
    make_model,
    make_splits,
    make_vocabulary,
    report_unseen_labels,
)
from bertx.bert.encoders import Encoders
from bertx.config.file import read_config
from bertx.config.packages import include_package
from bertx.config.registrable import Lazy
from bertx.data.split import Split
from bertx.data.vocabulary import Vocabulary
from bertx.devices import choose_device
from bertx.experiment import Experiment, SplitName, settings_to_blame
from bertx.models.model import Model
from bertx.paths import with_paths_found
from bertx.runs.components.from_archive import with_archive
from bertx.runs.planning import plan_experiment
from bertx.training.processes.distributed import Distributed
from bertx.training.trainer import Trainer
from bertx.world import World

logger = logging.getLogger(__name__)

ALONE = World()


@dataclass(frozen=True)
class TrainingRequest:
    """What the user asks for beside the config.

    Attributes:
        config: The config file.
        overrides: Edits of it, as for `-o`.
        ext_vars: What `std.extVar` gives.
        include_packages: Modules or `.py` files with components of the user's own.
        limit: Read that many instances of each split; None: all.
        device: Where to train; None: a GPU if there is one.
        import_paths: Folders beside the config's own that it may import Jsonnet files from.
        relative_to: Folders that relative paths of the config start from; None: the config's own, and the
            working directory.
    """

    config: Path
    overrides: Sequence[str] | Mapping[str, object] = ()
    ext_vars: Mapping[str, str] = field(default_factory=dict)
    include_packages: Sequence[str] = ()
    limit: int | None = None
    device: str | None = None
    import_paths: Sequence[Path] = ()
    relative_to: Sequence[Path] | None = None

    @property
    def chosen_device(self) -> torch.device:
        """Where to train."""
        return choose_device(self.device)

    @property
    def search(self) -> tuple[Path, ...]:
        """Where relative paths of the config start from."""
        return (self.config.parent, Path()) if self.relative_to is None else tuple(self.relative_to)


@dataclass(frozen=True)
class Prepared:
    """An experiment that is ready to be trained.

    Attributes:
        plan: The checked config.
        experiment: Its objects.
        encoders: The pretrained encoders it uses.
        vocabulary: Numbers the labels.
        splits: The data, encoded.
        model: The model, with the encoder's weights.
        device: Where to train.
        world: The processes that train together; each has its share of the splits.
    """

    plan: Lazy[Experiment]
    experiment: Experiment
    encoders: Encoders
    vocabulary: Vocabulary
    splits: dict[SplitName, Split]
    model: Model
    device: torch.device
    world: World

    def trainer(self, folder: Path | None) -> Trainer:
        """Builds the trainer."""
        with settings_to_blame():
            return self.experiment.trainer.build_with(
                model=self.model,
                train=self.splits["train"],
                validation=self.splits.get("validation"),
                folder=folder,
                device=self.device,
                world=self.world,
                strategy="ddp"
                if self.experiment.distributed is None
                else self.experiment.distributed.strategy,
            )


def plan_request(request: TrainingRequest) -> Lazy[Experiment]:
    """Checks the config of a request; builds nothing.

    Raises:
        ConfigError: One line for each problem.
    """
    for name in request.include_packages:
        include_package(name)
    config, positions = read_config(request.config, request.overrides, request.ext_vars, request.import_paths)
    return plan_experiment(config, str(request.config), positions)


def prepare(
    request: TrainingRequest, planned: Lazy[Experiment] | None = None, world: World = ALONE
) -> Prepared:
    """Reads the data and builds vocabulary and model; of several processes, the main one encodes the data.

    Raises:
        BertxError: Something the config names is missing or does not fit.
    """
    planned = with_archive(planned or plan_request(request), request.search)
    device, encoders = request.chosen_device, Encoders(request.search)
    with settings_to_blame():
        experiment = with_paths_found(planned, request.search).build_with(encoders=encoders)
    _try_callbacks(planned)
    experiment.seed_everything()
    settings = DataSettings(request.search, cache_folder(), request.limit)
    with world.main_first():
        encoded = encode_splits(experiment, planned, settings)
    vocabulary = make_vocabulary(experiment, encoded)
    model = make_model(experiment, vocabulary, encoders, encoded["train"].counts())
    for name, dataset in encoded.items():
        check_lengths(model, dataset, experiment.data_paths[name])
    splits = {
        name: replace(split, rank=world.rank, size=world.size)
        for name, split in make_splits(experiment, encoded, vocabulary).items()
    }
    report_unseen_labels(splits)
    # Seeded again, so that the run does not depend on how many random numbers construction drew.
    experiment.seed_everything(world.rank)
    return Prepared(planned, experiment, encoders, vocabulary, splits, model.to(device), device, world)


def _try_callbacks(planned: Lazy[Experiment]) -> None:
    """Builds the callbacks once for nothing: a package that is missing shows before the data are read."""
    callbacks = planned.settings["trainer"].settings.get("callbacks") or []
    for callback in callbacks:
        if isinstance(callback, Lazy) and not callback.wanted():
            callback.build()


def cache_folder() -> Path:
    """Returns where encoded data are kept: `BERTX_CACHE`, or `~/.cache/bertx`."""
    return Path(os.environ.get("BERTX_CACHE", Path.home() / ".cache" / "bertx")) / "encoded"


def planned_processes(planned: Lazy[Experiment]) -> Distributed | None:
    """Returns what a checked config says of processes, before anything else is built."""
    described = planned.settings.get("distributed")
    built: Distributed | None = None if described is None else described.build()
    return built
