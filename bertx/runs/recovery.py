"""`bertx train --recover`: whether an interrupted run may go on, given what has changed since."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from bertx.atomic import LEFTOVER
from bertx.data.instance import JSON
from bertx.errors import CheckpointError, ConfigError
from bertx.runs.archive import LOG
from bertx.runs.differences import differences

logger = logging.getLogger(__name__)

# What may change within a run: how long it is, what is saved, told and tested, and who does the work.
HARMLESS = (
    "trainer.num_epochs",
    "trainer.max_steps",
    "trainer.max_seconds",
    "trainer.patience",
    "trainer.validate_every",
    "trainer.max_skipped_steps",
    "trainer.checkpointer*",
    "trainer.callbacks*",
    "data_loader.num_workers",
    "validation_data_loader.num_workers",
    "distributed*",
    "test_data_path",
    "evaluate_on_test",
    "bag_of_words_baseline",
    "include_in_archive*",
)
ENVIRONMENT = "environment.json"  # the last of the files that a run begins with
FIRST_FILES = re.compile(r"out(_worker\d+)?\.log|config\.json(net)?|vocabulary|encoder")


def can_go_on(folder: Path) -> bool:
    """Returns whether a run has begun in a folder, so that there is something to go on with."""
    return (folder / ENVIRONMENT).is_file() and (folder / "config.json").is_file()


def was_killed_at_once(folder: Path) -> bool:
    """Returns whether a run was killed before it had written what it is given, so that nothing is lost."""
    if not (folder / LOG).is_file() or (folder / ENVIRONMENT).exists():
        return False
    names = [path.name for path in folder.iterdir()]
    return all(FIRST_FILES.fullmatch(name) or LEFTOVER.fullmatch(name) for name in names)


def require_same(
    folder: Path,
    config: Mapping[str, object],
    circumstances: Mapping[str, object],
    *,
    allow_config_change: bool = False,
) -> None:
    """Checks that a run can go on as it was begun; differences are logged.

    Args:
        folder: The run folder.
        config: The resolved config of today.
        circumstances: What else the run is given today: `limit` and `data`, as `environment.json` has them.
        allow_config_change: Whether keys may differ that do not change what a step does.

    Raises:
        ConfigError: The config differs in more than what is allowed.
        CheckpointError: The data have changed, or a file of the run cannot be read.
    """
    changed = list(differences(_read(folder / "config.json"), dict(config)))
    for difference in changed:
        logger.info("config changed: %s", difference)
    harmful = [difference for difference in changed if not is_harmless(difference.key)]
    if harmful:
        changes = "\n".join(f"  {difference}" for difference in harmful)
        raise ConfigError(
            f"{folder}: cannot go on with another config:\n{changes}\n"
            "undo these changes, or train anew in another folder; only keys such as trainer.num_epochs, "
            "trainer.patience and trainer.callbacks may change"
        )
    if changed and not allow_config_change:
        changes = "\n".join(f"  {difference}" for difference in changed)
        raise ConfigError(
            f"{folder}: the config has changed:\n{changes}\nadd --allow-config-change to go on with it"
        )
    _require_same_data(folder, circumstances)


def is_harmless(key: str) -> bool:
    """Returns whether a key may change within a run."""
    return any(fnmatchcase(key, pattern) for pattern in HARMLESS)


def _require_same_data(folder: Path, circumstances: Mapping[str, object]) -> None:
    before = _read(folder / "environment.json")
    if before.get("limit") != circumstances["limit"]:
        raise ConfigError(
            f"{folder}: was begun with --limit {before.get('limit')}, and goes on only with the same, not "
            f"with {circumstances['limit']}"
        )
    data = circumstances["data"]
    for name in ("train", "validation"):
        old, new = (_hashes(found, name) for found in (before.get("data"), data))
        if old != new:
            raise CheckpointError(
                f"{folder}: the {name} data have changed since the run was begun; restore the files, or "
                "train anew in another folder"
            )


def _hashes(data: object, split: str) -> Sequence[object]:
    described = data.get(split) if isinstance(data, dict) else None
    files = described.get("files", []) if isinstance(described, dict) else []
    return [file.get("sha256") for file in files]


def _read(path: Path) -> dict[str, JSON]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}; train anew in another folder") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: holds no object; expected what bertx wrote")
    return found
