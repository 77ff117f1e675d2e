"""A training that starts from a trained model: head, labels, loss and all."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from bertx.bert.encoders import Encoders
from bertx.config.registrable import Lazy, Runtime
from bertx.data.label_counts import Counts
from bertx.data.vocabulary import Vocabulary
from bertx.experiment import Experiment
from bertx.models.losses.classification_loss import ClassificationLoss
from bertx.models.model import Model
from bertx.paths import with_paths_found
from bertx.runs.agreement import require_same_labels
from bertx.runs.archive import WEIGHTS, RunFiles, open_run
from bertx.runs.planning import plan_experiment
from bertx.runs.run import saved_vocabulary
from bertx.training.weights import load_weights


@Model.register("from_archive")
def from_archive(
    archive_file: Path,
    vocab: Runtime[Vocabulary],
    *,
    model: Lazy[Model] | None = None,
    label_counts: Runtime[Counts | None] = None,
    encoders: Runtime[Encoders | None] = None,
) -> Model:
    """Takes the whole model of a trained run, to be trained further.

    The config of the new run describes the model itself, so that the archive may then go.

    Args:
        archive_file: A run folder or `model.tar.gz`.
        vocab: Numbers the labels, as the archive does.
        model: The model that the archive's weights are read into; None: the archive's own, which `bertx
            train` writes into the config of the new run.
        label_counts: How often each label occurs in the training data; None: unknown.
        encoders: Is told the sizes of the archive's encoders, to be saved with the new run; None: nobody is.

    Raises:
        CheckpointError: There is no such run, or its weights are not those of the model.
        ConfigError: Its labels are others, or in another order.
    """
    if model is not None and encoders is not None and not encoders.has_weights:
        return model.build_with(vocab=vocab, encoders=encoders)
    with open_run(archive_file) as files:
        planned = _plan(files)
        theirs = saved_vocabulary(files, planned.settings.get("vocabulary"))
        require_same_labels(vocab, theirs, run=archive_file, key="model.archive_file")
        saved = Encoders.saved(files.folder / "encoder")
        made = (model or _model(planned)).build_with(vocab=vocab, encoders=saved, label_counts=label_counts)
        _load(made, files.folder / WEIGHTS)
    if encoders is not None:
        encoders.take_sizes(saved)
    return made


def with_archive(planned: Lazy[Experiment], search: Sequence[Path]) -> Lazy[Experiment]:
    """Writes the model of the archive into a plan that starts from one; other plans stay as they are.

    Args:
        planned: The checked config.
        search: Folders that relative paths start from, in this order.

    Raises:
        CheckpointError: There is no such run.
    """
    start = planned.settings["model"]
    if start.maker is not from_archive or start.settings.get("model") is not None:
        return planned
    with open_run(with_paths_found(start.settings["archive_file"], search)) as files:
        described = copy.copy(start)
        described.settings = {**start.settings, "model": _model(_plan(files))}
    made = copy.copy(planned)
    made.settings = {**planned.settings, "model": described}
    return made


def _plan(files: RunFiles) -> Lazy[Experiment]:
    return plan_experiment(files.config, f"{files.name}: config.json")


def _model(planned: Lazy[Experiment]) -> Lazy[Model]:
    """Finds what describes the model of a run, which may have started from an archive itself."""
    found: Lazy[Model] = planned.settings["model"]
    inner: Lazy[Model] | None = found.settings.get("model") if found.maker is from_archive else None
    return inner or found


def _load(model: Model, weights: Path) -> None:
    """Reads the weights, without what losses know of other training data, such as balanced weights."""
    losses = [module for module in model.modules() if isinstance(module, ClassificationLoss)]
    states = [copy.deepcopy(loss.state_dict()) for loss in losses]
    load_weights(model, weights)
    for loss, state in zip(losses, states, strict=True):
        loss.load_state_dict(state)
