"""Prediction with bertx: by its command, or in the process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.systems.prediction import Predict, agreement, speed

if TYPE_CHECKING:
    from bertx.runs.prediction.precision import PredictionPrecision


def predict_file(
    *, run: str, source: str, rows: int, options: Sequence[str], reference: str | None, folder: str
) -> dict[str, float]:
    """Predicts by `bertx predict` for one row of a file, which tells what the start takes, then for all.

    Args:
        run: A run folder.
        source: JSONL with `id` and `text`.
        rows: How many to take.
        options: Options of the command, such as `--precision int8`.
        reference: What another system wrote, whose labels are compared; None: none.
        folder: Where files are written.
    """
    one, all_rows = (_head(source, number, Path(folder)) for number in (1, rows))
    start_seconds, _ = _command(run, one, options)
    seconds, output = _command(run, all_rows, options)
    number = sum(1 for _ in output.open(encoding="utf-8"))
    return speed(number, seconds - start_seconds, start_seconds) | agreement(output, reference)


def _head(source: str, rows: int, folder: Path) -> Path:
    path = folder / f"input_{rows}.jsonl"
    with Path(source).open(encoding="utf-8") as file, path.open("w", encoding="utf-8") as target:
        target.writelines(islice(file, rows))
    return path


def seconds_of_command(run: str, source: Path, options: Sequence[str]) -> float:
    """Returns what `bertx predict` takes for a file, from its start to its end."""
    return _command(run, source, options)[0]


def _command(run: str, source: Path, options: Sequence[str]) -> tuple[float, Path]:
    output = source.with_name("output_" + source.name)
    predict = [sys.executable, "-m", "bertx", "predict", run, str(source), "--output-file", str(output)]
    clock = time.perf_counter()
    done = subprocess.run([*predict, *options], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - clock
    if done.returncode:
        raise SystemExit(f"bertx predict: exit status {done.returncode}: {done.stderr[-2000:]}")
    return seconds, output


def load(run: str, precision: PredictionPrecision) -> Predict:
    """Loads a run for prediction in this process."""
    import bertx

    loaded = bertx.in_precision(bertx.load(run), precision)

    def predict(texts: Sequence[str]) -> list[tuple[str, list[float]]]:
        return [(found["label"], found["probs"]) for found in loaded.predict(texts)]

    return predict
