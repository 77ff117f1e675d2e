"""Reading a JSONL file, encoding its texts and keeping the result for the next time."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.tasks import MAX_PIECES, TASKS, reader_of

# Reads and encodes with a cache; returns what counts the tokens, outside of the clock.
Encode = Callable[[], Callable[[], int]]


def bertx(task: str, source: str, encoder: str, folder: str) -> dict[str, float]:
    """Measures bertx: read, encode, write the cache, map it; then the same call again."""
    from bertx.data.cache import encode_file

    reader = reader_of(task, encoder)

    def encode() -> Callable[[], int]:
        dataset = encode_file(
            reader, Path(source), settings_hash="benchmark", cache_folder=Path(folder) / "cache"
        )
        return lambda: int(dataset.lengths().sum())

    return _measured(encode, source)


def datasets(task: str, source: str, encoder: str, folder: str) -> dict[str, float]:
    """Measures `datasets`: load_dataset("json") and map(batched=True) with a fast tokenizer; then again."""
    import datasets
    import pyarrow.compute
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(encoder, use_fast=True)
    # The first call changes the tokenizer's state and so the key of the cache of `map`.
    tokenizer(["a text"], truncation=True, max_length=MAX_PIECES)
    keys = TASKS[task].text_keys

    def tokenize(rows):
        return tokenizer(*(rows[key] for key in keys), truncation=True, max_length=MAX_PIECES)

    def encode() -> Callable[[], int]:
        loaded = datasets.load_dataset("json", data_files=source, split="train", cache_dir=folder)
        encoded = loaded.map(tokenize, batched=True)
        lengths = pyarrow.compute.list_value_length
        return lambda: pyarrow.compute.sum(lengths(encoded.data["input_ids"])).as_py()

    return _measured(encode, source)


def _measured(encode: Encode, source: str) -> dict[str, float]:
    rows = Path(source).read_bytes().count(b"\n")  # and nobody pays for the disk
    gc.collect()
    clock = time.perf_counter()
    count = encode()
    first = time.perf_counter()
    encode()
    second = time.perf_counter()
    return {
        "rows_per_second": rows / (first - clock),
        "seconds": first - clock,
        "again_seconds": second - first,
        "tokens": float(count()),
    }
