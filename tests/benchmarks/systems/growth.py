"""How time and memory of a prediction by bertx grow with the file."""

from __future__ import annotations

import json
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from tests.benchmarks.systems.bertx_prediction import seconds_of_command

LEAST_ROWS = 20_000  # a smaller file is predicted for several times, so that the clock has something to show


def predict_file(run: str, source: str, rows: int, folder: str) -> dict[str, float]:
    """Predicts for a file of so many rows, those of `source` over and over.

    What a file of one row takes in the same process, by turns with this one, is subtracted for the time per
    row: that is the fixed start of a prediction. The whole command with its imports is measured once.
    """
    from bertx.huge_pages import keep_memory
    from bertx.runs.prediction.predict import PredictionRequest, predict
    from bertx.runs.run import load

    one, first, all_rows = (_repeated(source, number, Path(folder)) for number in (1, 1_000, rows))
    output = Path(folder) / "output.jsonl"
    keep_memory()
    loaded = load(run)

    def seconds_for(path: Path) -> float:
        output.unlink(missing_ok=True)
        clock = time.perf_counter()
        predict(loaded, PredictionRequest(path, output))
        return time.perf_counter() - clock

    seconds_for(first)  # kernels are made for the sizes that they meet
    differences = []
    for _ in range(max(1, LEAST_ROWS // rows)):
        start = seconds_for(one)
        differences.append(seconds_for(all_rows) - start)
    with output.open(encoding="utf-8") as file:
        found = [json.loads(line)["id"] for line in file]
    if found != list(range(rows)):
        raise SystemExit(f"{rows} rows: the predictions are not there in order")
    seconds = median(differences)
    return {
        "microseconds_per_row": 1e6 * seconds / rows,
        "rows_per_second": rows / seconds,
        "command_seconds": seconds_of_command(run, all_rows, []),
    }


def _repeated(source: str, rows: int, folder: Path) -> Path:
    path = folder / f"input_{rows}.jsonl"
    with Path(source).open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    with path.open("w", encoding="utf-8") as target:
        for number, text in enumerate(islice(cycle(texts), rows)):
            target.write(json.dumps({"id": number, "text": text}) + "\n")
    return path
