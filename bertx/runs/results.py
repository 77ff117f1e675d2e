"""`bertx print-results`: the metrics of many runs in one table."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bertx.data.instance import JSON
from bertx.errors import DataError

logger = logging.getLogger(__name__)

NOT_AVAILABLE = "N/A"


def results_table(folders: Sequence[Path], keys: Sequence[str] | None, file_name: str) -> str:
    """Collects the metrics of all runs in and under folders.

    Args:
        folders: Where to look.
        keys: Which metrics, in this order; None: all that are numbers in any of the runs.
        file_name: The file of metrics in each run, such as `metrics.json` or `metrics_epoch_2.json`.

    Returns:
        A CSV table with a row for each run; a metric that it lacks is `N/A`.

    Raises:
        DataError: A folder does not exist, or there is no such file in any of them.
    """
    runs = {file.parent: _read(file) for folder in folders for file in _find(folder, file_name)}
    if not runs:
        places = ", ".join(map(str, folders))
        raise DataError(f"{places}: no {file_name} in or under it; expected folders of finished runs")
    columns = _numbers(runs.values()) if keys is None else keys
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["model_run", *columns])
    for folder, metrics in runs.items():
        table.writerow([folder, *(_cell(metrics.get(column)) for column in columns)])
    return text.getvalue()


def _find(folder: Path, file_name: str) -> Iterator[Path]:
    """Yields the files of that name, folders in the order of their names."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the current folder is {Path.cwd()}")
    for place, below, files in os.walk(folder):
        below.sort()
        if file_name in files:
            yield Path(place) / file_name


def _read(file: Path) -> Mapping[str, JSON]:
    """Reads metrics; a broken file is an empty row with a warning, so that it hides no other run."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logger.warning("%s: cannot be read (%s); its row is empty", file, error)
        return {}
    if not isinstance(found, dict):
        logger.warning("%s: holds no object; its row is empty", file)
        return {}
    return found


def _numbers(runs: Iterable[Mapping[str, JSON]]) -> list[str]:
    """Returns the names of all numbers, in the order in which they are met."""
    met: dict[str, None] = {}
    for metrics in runs:
        for name, value in metrics.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                met[name] = None
    return list(met)


def _cell(value: JSON) -> str:
    if value is None:
        return NOT_AVAILABLE
    return value if isinstance(value, str) else json.dumps(value)
