"""A config file with its overrides, ready to be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertx.config.jsonnet import evaluate_config
from bertx.config.overrides import Overrides, apply_overrides
from bertx.config.positions import Positions


def read_config(
    path: Path,
    overrides: Overrides = (),
    ext_vars: Mapping[str, str] | None = None,
    import_paths: Sequence[Path] = (),
) -> tuple[dict[str, Any], Positions]:
    """Evaluates a config file and applies overrides.

    Returns:
        The config, and where its parts are written.

    Raises:
        ConfigError: The file or an override cannot be read.
    """
    config = apply_overrides(evaluate_config(path, ext_vars, import_paths), overrides, ext_vars)
    return config, Positions(path, import_paths).overridden(overrides, ext_vars)
