"""How time and memory of a prediction by bertx grow with the file."""

from __future__ import annotations

import json
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median

LEAST_ROWS = 20_000  # a smaller file is predicted for several times, so that the clock has something to show


def predict_file(run: str, source: str, rows: int, folder: str) -> dict[str, float]:
    """Predicts for a file of so many rows, those of `source` over and over; the start is not counted."""
    from bertx.runs.prediction.predict import PredictionRequest, predict
    from bertx.runs.run import load

    first, all_rows = (_repeated(source, number, Path(folder)) for number in (1_000, rows))
    output = Path(folder) / "output.jsonl"
    loaded = load(run)
    predict(loaded, PredictionRequest(first, output))  # the first time is slower
    seconds = []
    for _ in range(max(1, LEAST_ROWS // rows)):
        output.unlink()
        clock = time.perf_counter()
        predict(loaded, PredictionRequest(all_rows, output))
        seconds.append(time.perf_counter() - clock)
    with output.open(encoding="utf-8") as file:
        found = [json.loads(line)["id"] for line in file]
    if found != list(range(rows)):
        raise SystemExit(f"{rows} rows: the predictions are not there in order")
    return {"microseconds_per_row": 1e6 * median(seconds) / rows, "rows_per_second": rows / median(seconds)}


def _repeated(source: str, rows: int, folder: Path) -> Path:
    path = folder / f"input_{rows}.jsonl"
    with Path(source).open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    with path.open("w", encoding="utf-8") as target:
        for number, text in enumerate(islice(cycle(texts), rows)):
            target.write(json.dumps({"id": number, "text": text}) + "\n")
    return path
