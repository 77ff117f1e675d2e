"""`bertx train`: from a config file to a run folder."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

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
from bertx.atomic import replacing, write_json
from bertx.bert.checkpoints.peft import write_adapter
from bertx.bert.encoders import Encoders
from bertx.bert.lora import lora_layers
from bertx.config.construct import filled
from bertx.config.file import read_config
from bertx.config.packages import include_package
from bertx.config.registrable import Lazy
from bertx.data.split import Split
from bertx.data.vocabulary import Vocabulary
from bertx.devices import choose_device
from bertx.experiment import Experiment, SplitName, plan_experiment, settings_to_blame
from bertx.log import recording
from bertx.models.model import Model
from bertx.paths import find_data, with_paths_found
from bertx.runs.archive import ADAPTER, ARCHIVE, LOG, claim_run_folder, pack_run, require_free
from bertx.runs.environment import describe_environment, describe_files
from bertx.training.bag_of_words import BagOfWords
from bertx.training.evaluation import Precision, evaluate
from bertx.training.trainer import Metrics, Trainer

logger = logging.getLogger(__name__)


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
    """

    config: Path
    overrides: Sequence[str] | Mapping[str, object] = ()
    ext_vars: Mapping[str, str] = field(default_factory=dict)
    include_packages: Sequence[str] = ()
    limit: int | None = None
    device: str | None = None
    import_paths: Sequence[Path] = ()

    @property
    def search(self) -> tuple[Path, ...]:
        """Where relative paths of the config start from."""
        return (self.config.parent, Path())


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
    """

    plan: Lazy[Experiment]
    experiment: Experiment
    encoders: Encoders
    vocabulary: Vocabulary
    splits: dict[SplitName, Split]
    model: Model
    device: torch.device

    def trainer(self, folder: Path | None) -> Trainer:
        """Builds the trainer."""
        with settings_to_blame():
            return self.experiment.trainer.build_with(
                model=self.model,
                train=self.splits["train"],
                validation=self.splits.get("validation"),
                folder=folder,
                device=self.device,
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


def prepare(request: TrainingRequest, planned: Lazy[Experiment] | None = None) -> Prepared:
    """Reads the data and builds vocabulary and model.

    Raises:
        BertxError: Something the config names is missing or does not fit.
    """
    planned = planned or plan_request(request)
    device = choose_device(request.device)
    encoders = Encoders(request.search)
    with settings_to_blame():
        experiment = with_paths_found(planned, request.search).build_with(encoders=encoders)
    experiment.seed_everything()
    settings = DataSettings(request.search, cache_folder(), request.limit)
    encoded = encode_splits(experiment, planned, settings)
    vocabulary = make_vocabulary(experiment, encoded)
    model = make_model(experiment, vocabulary, encoders)
    for name, dataset in encoded.items():
        check_lengths(model, dataset, experiment.data_paths[name])
    splits = make_splits(experiment, encoded, vocabulary)
    report_unseen_labels(splits)
    # Seeded again, so that the run does not depend on how many random numbers construction drew.
    experiment.seed_everything()
    return Prepared(planned, experiment, encoders, vocabulary, splits, model.to(device), device)


def cache_folder() -> Path:
    """Returns where encoded data are kept: `BERTX_CACHE`, or `~/.cache/bertx`."""
    return Path(os.environ.get("BERTX_CACHE", Path.home() / ".cache" / "bertx")) / "encoded"


def train(request: TrainingRequest, folder: Path, *, force: bool = False) -> Metrics:
    """Trains, and writes the run folder.

    Args:
        request: The config and what to change.
        folder: The run folder, which must be empty or new.
        force: Whether to move an existing folder aside.

    Returns:
        What `metrics.json` holds.

    Raises:
        BertxError: The config, the data or the numbers are wrong.
    """
    planned = plan_request(request)
    if not force:
        require_free(folder)
    with recording() as log:
        prepared = prepare(request, planned)
        trainer = prepared.trainer(folder)
        # Only now: a mistake in config or data leaves no folder behind, and an old one where it is.
        claim_run_folder(folder, force=force)
        log.write_to(folder / LOG)
        _write_inputs(request, prepared, folder)
        metrics = trainer.train()
        _write_adapter(prepared, folder)
        metrics |= _test(prepared, trainer)
        metrics |= _baseline(prepared)
        write_json(folder / "metrics.json", metrics)
        pack_run(folder, prepared.experiment.include_in_archive)
        logger.info("%s: done; %s is self-contained", folder, folder / ARCHIVE)
    return metrics


def _write_inputs(request: TrainingRequest, prepared: Prepared, folder: Path) -> None:
    """Writes all but weights and metrics, before the first step: an interrupted run can still be read."""
    write_json(folder / "config.json", filled(prepared.plan))
    with replacing(folder / "config.jsonnet") as temporary:
        shutil.copyfile(request.config, temporary)
    prepared.vocabulary.save_to_files(folder / "vocabulary")
    prepared.encoders.save(folder / "encoder")
    if not (folder / "encoder" / "config.json").exists():  # a fresh encoder has no name to be saved under
        write_json(folder / "encoder" / "config.json", prepared.model.encoder_config.to_dict())
    write_json(folder / "environment.json", describe_environment() | _circumstances(request, prepared))


def _write_adapter(prepared: Prepared, folder: Path) -> None:
    """Writes LoRA's updates once more as others read them; the run itself has them among its weights."""
    module = prepared.model.adapted
    if module is not None and any(lora_layers(module)):
        name = prepared.experiment.model.settings.get("bert_model")
        write_adapter(module, folder / ADAPTER, base=name if isinstance(name, str) else None)


def _circumstances(request: TrainingRequest, prepared: Prepared) -> dict[str, object]:
    """Describes what the run was given beside its config."""
    experiment = prepared.experiment
    return {
        "include_packages": list(request.include_packages),
        "ext_vars": dict(request.ext_vars),
        "limit": request.limit,
        "device": str(prepared.device),
        "seeds": dict(experiment.seeds),
        "data": {
            name: {
                "path": path,
                "instances": len(prepared.splits[name]),
                "files": describe_files(experiment.reader(name).files(find_data(path, request.search))),
            }
            for name, path in experiment.data_paths.items()
        },
    }


def _baseline(prepared: Prepared) -> Metrics:
    if not prepared.experiment.bag_of_words_baseline:
        return {}
    baseline = BagOfWords(prepared.splits["train"])
    others = {name: split for name, split in prepared.splits.items() if name != "train"}
    return {f"bag_of_words_{name}_accuracy": baseline.accuracy(split) for name, split in others.items()}


def _test(prepared: Prepared, trainer: Trainer) -> Metrics:
    if not prepared.experiment.evaluate_on_test:
        return {}
    precision = cast(Precision, getattr(trainer, "precision", "fp32"))
    found = evaluate(prepared.model, prepared.splits["test"], device=prepared.device, precision=precision)
    return {f"test_{name}": value for name, value in found.all.items()}
