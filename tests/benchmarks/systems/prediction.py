"""Prediction by a library: from file to file, or a text at a time.

A library is a function that loads a model and returns what predicts labels and probabilities for texts.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import TypeAlias

Predict: TypeAlias = Callable[[Sequence[str]], list[tuple[str, list[float]]]]

WARM_UP_TEXTS = 20


def predict_file(
    *,
    loader: str,
    arguments: Mapping[str, object],
    source: str,
    rows: int,
    output: str | None = None,
    reference: str | None = None,
    folder: str,
    started: float,
) -> dict[str, float]:
    """Predicts for the first rows of a file.

    Args:
        loader: `module:function`.
        arguments: Its arguments.
        source: JSONL with `id` and `text`.
        rows: How many to take.
        output: The file to write; None: one that is deleted.
        reference: What another system wrote, whose labels are compared; None: none.
        folder: Where the output is written.
        started: When this process was started.
    """
    predict = _loaded(loader, arguments)
    predict(["the first text, which takes longer"])
    start_seconds = time.time() - started
    target = Path(output or Path(folder) / "output.jsonl")
    clock = time.perf_counter()
    with Path(source).open(encoding="utf-8") as file:
        records = [json.loads(line) for line in islice(file, rows)]
    found = predict([record["text"] for record in records])
    with target.open("w", encoding="utf-8") as file:
        for record, (label, probs) in zip(records, found, strict=True):
            file.write(json.dumps({"id": record["id"], "label": label, "probs": probs}) + "\n")
    seconds = time.perf_counter() - clock
    return speed(len(records), seconds, start_seconds) | agreement(target, reference)


def predict_one_by_one(
    *, loader: str, arguments: Mapping[str, object], source: str, rows: int
) -> dict[str, float]:
    """Predicts for the first rows of a file, each when the one before is done."""
    predict = _loaded(loader, arguments)
    with Path(source).open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in islice(file, rows)]
    seconds = []
    for text in [*texts[:WARM_UP_TEXTS], *texts]:
        clock = time.perf_counter()
        predict([text])
        seconds.append(1000 * (time.perf_counter() - clock))
    counted = seconds[-len(texts) :]
    return {"median_ms": median(counted), "slow_ms": quantiles(counted, n=20)[-1]}


def speed(rows: int, seconds: float, start_seconds: float) -> dict[str, float]:
    """Returns the rates of a prediction without and with the start of the process."""
    return {
        "rows": float(rows),
        "rows_per_second": rows / seconds,
        "start_seconds": start_seconds,
        "rows_per_second_with_start": rows / (seconds + start_seconds),
    }


def agreement(output: Path, reference: str | None) -> dict[str, float]:
    """Returns the share of rows with the reference's label, of those that both files have, in percent."""
    if reference is None:
        return {}
    labels, expected = _labels(output), _labels(Path(reference))
    same = [labels[identifier] == label for identifier, label in expected.items() if identifier in labels]
    return {"agreement": 100 * sum(same) / len(same)}


def _labels(path: Path) -> dict[object, str]:
    with path.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    return {record["id"]: record["label"] for record in records}


def _loaded(loader: str, arguments: Mapping[str, object]) -> Predict:
    module, _, name = loader.partition(":")
    predict: Predict = getattr(importlib.import_module(module), name)(**arguments)
    return predict
