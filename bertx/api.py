"""`bertx.train`: the command `bertx train` for Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bertx.runs.preparation import TrainingRequest
from bertx.runs.train import train as train_request
from bertx.training.trainer import Metrics


def train(
    config: str | Path,
    folder: str | Path,
    *,
    overrides: Sequence[str] | Mapping[str, object] = (),
    ext_vars: Mapping[str, str] | None = None,
    include_packages: Sequence[str] = (),
    limit: int | None = None,
    device: str | None = None,
    force: bool = False,
    recover: bool = False,
    allow_config_change: bool = False,
) -> Metrics:
    """Trains what a config file describes, and writes a run folder.

    Args:
        config: The config file.
        folder: The run folder, which must be empty or new.
        overrides: Edits of the config: `["trainer.num_epochs=1"]` or `{"trainer.num_epochs": 1}`.
        ext_vars: What `std.extVar` gives in the config.
        include_packages: Modules or `.py` files with components of your own.
        limit: Read that many instances of each split; None: all.
        device: Where to train; None: a GPU if there is one.
        force: Whether to move an existing run folder aside.
        recover: Whether to go on with a run that was interrupted in this folder; without one, it begins.
        allow_config_change: Whether keys of the config may have changed that do not change what a step does.

    Returns:
        What `metrics.json` holds.

    Raises:
        BertxError: The config, the data or the numbers are wrong.
    """
    request = TrainingRequest(Path(config), overrides, ext_vars or {}, include_packages, limit, device)
    return train_request(
        request, Path(folder), force=force, recover=recover, allow_config_change=allow_config_change
    )
