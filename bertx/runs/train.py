"""`bertx train`: from a config file to a run folder."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bertx.atomic import remove_leftovers, replacing, write_json
from bertx.bert.checkpoints.peft import write_adapter
from bertx.bert.lora import lora_layers
from bertx.config.construct import filled
from bertx.errors import UsageError
from bertx.huge_pages import keep_memory
from bertx.log import recording
from bertx.paths import find_data
from bertx.runs.archive import ADAPTER, ARCHIVE, LOG, claim_run_folder, pack_run, require_free, sole_trainer
from bertx.runs.environment import describe_environment, describe_files
from bertx.runs.launch import must_launch
from bertx.runs.preparation import Prepared, TrainingRequest, plan_request, planned_processes, prepare
from bertx.runs.recovery import can_go_on, require_same, was_killed_at_once
from bertx.training.bag_of_words import BagOfWords
from bertx.training.evaluation import evaluate
from bertx.training.processes.distributed import device_name
from bertx.training.trainer import Metrics, Trainer
from bertx.world import DEFAULT_TIMEOUT_SECONDS, World, joined

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """A training at its end, the model with its best weights.

    Attributes:
        prepared: What was trained.
        trainer: How.
        metrics: What `metrics.json` holds.
        folder: The run folder.
    """

    prepared: Prepared
    trainer: Trainer
    metrics: Metrics
    folder: Path


def pack(finished: Finished) -> None:
    """Writes `model.tar.gz`."""
    pack_run(finished.folder, finished.prepared.experiment.include_in_archive)
    logger.info("%s: done; %s is self-contained", finished.folder, finished.folder / ARCHIVE)


def train(
    request: TrainingRequest,
    folder: Path,
    *,
    force: bool = False,
    recover: bool = False,
    allow_config_change: bool = False,
    finish: Callable[[Finished], None] = pack,
) -> Metrics:
    """Trains, and writes the run folder.

    Args:
        request: The config and what to change.
        folder: The run folder, which must be empty or new.
        force: Whether to move an existing folder aside.
        recover: Whether to go on with a run that was interrupted in this folder; without one, a new run
            begins, so that the same command can be given again and again.
        allow_config_change: Whether keys of the config may have changed that do not change what a step does.
        finish: What the main process does with the finished run at last.

    Returns:
        What `metrics.json` holds.

    Raises:
        BertxError: The config, the data or the numbers are wrong.
        Preempted: SIGTERM came; the run can go on.
    """
    planned = plan_request(request)
    world, distributed = World.current(), planned_processes(planned)
    if must_launch(distributed):
        raise UsageError(
            "distributed: several processes are started by the command `bertx train`, or by torchrun"
        )
    begun = _Begun(recover and can_go_on(folder), recover and was_killed_at_once(folder))
    if not (force or begun.is_there) and world.is_main:
        require_free(folder)
    if world.size > 1 and request.device is None:
        devices = None if distributed is None else distributed.cuda_devices
        request = replace(request, device=device_name(world, devices))
    timeout = DEFAULT_TIMEOUT_SECONDS if distributed is None else distributed.timeout_seconds
    if request.chosen_device.type == "cpu":
        keep_memory()
    with (
        recording() as log,
        joined(world, request.chosen_device, timeout_seconds=timeout),
        ExitStack() as held,
    ):
        prepared = prepare(request, planned, world)
        trainer = prepared.trainer(folder)
        # Only now: a mistake in config or data leaves no folder behind, and an old one where it is.
        if world.is_main and begun.is_there:
            held.enter_context(sole_trainer(folder))
            _reenter(request, prepared, folder, begun, allow_config_change)
        elif world.is_main:
            claim_run_folder(folder, force=force)
            held.enter_context(sole_trainer(folder))
        world.barrier()
        log.write_to(folder / (LOG if world.is_main else f"out_worker{world.rank}.log"))
        if begun.goes_on and not trainer.recover():
            logger.info("%s: was stopped before its first checkpoint; starting again", folder)
        if world.is_main:
            _write_inputs(request, prepared, trainer, folder)
        metrics = trainer.train() | _test(prepared, trainer)
        if world.is_main:
            finish(_finished(prepared, trainer, metrics, folder))
        world.barrier()  # the others wait for the files
    return metrics


@dataclass(frozen=True)
class _Begun:
    """What is in the run folder of a run that is to be recovered."""

    goes_on: bool  # a run that was interrupted
    begins_again: bool  # one that was killed before it had begun

    @property
    def is_there(self) -> bool:
        return self.goes_on or self.begins_again


def _reenter(
    request: TrainingRequest, prepared: Prepared, folder: Path, begun: _Begun, allow_config_change: bool
) -> None:
    """Checks that a run may go on in its folder, and tidies up after what killed it."""
    if begun.goes_on:
        config, circumstances = filled(prepared.plan), _circumstances(request, prepared)
        require_same(folder, config, circumstances, allow_config_change=allow_config_change)
    remove_leftovers(folder)


def _finished(prepared: Prepared, trainer: Trainer, metrics: Metrics, folder: Path) -> Finished:
    """Adds the baseline to the metrics, and writes what every finished run has."""
    metrics |= _baseline(prepared)
    _write_adapter(prepared, folder)
    write_json(folder / "metrics.json", metrics)
    return Finished(prepared, trainer, metrics, folder)


def _write_inputs(request: TrainingRequest, prepared: Prepared, trainer: Trainer, folder: Path) -> None:
    """Writes all but weights and metrics, before the first step: an interrupted run can still be read."""
    write_json(folder / "config.json", filled(prepared.plan))
    with replacing(folder / "config.jsonnet") as temporary:
        shutil.copyfile(request.config, temporary)
    prepared.vocabulary.save_to_files(folder / "vocabulary")
    prepared.encoders.save(folder / "encoder")
    if not (folder / "encoder" / "config.json").exists():  # a fresh encoder has no name to be saved under
        write_json(folder / "encoder" / "config.json", prepared.model.encoder_config.to_dict())
    environment = describe_environment(request.config.parent, request.include_packages)
    described = environment | _circumstances(request, prepared)
    write_json(folder / "environment.json", {**described, "precision": trainer.precision})


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
    found = evaluate(
        prepared.model,
        prepared.splits["test"],
        device=prepared.device,
        precision=trainer.precision,
        world=prepared.world,
    )
    return {f"test_{name}": value for name, value in found.all.items()}
