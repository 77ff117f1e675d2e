"""Reads, encodes and caches SST-2's 67,349 training rows with bertx and with the library `datasets`, in turn.

What is timed, each time with a fresh cache folder and the tokenizer loaded before:
  bertx cold      encode_file: read the JSONL, encode, write the cache, map it
  bertx warm      the same call again: hash the data, map the cache
  datasets cold   load_dataset("json") and map(batched=True) with the fast tokenizer of transformers
  datasets warm   the same two calls again: both find their caches
Both use the same vocabulary and cut at the same length; the script stops if they do not give the same
number of tokens. The file is read once before, so that none of them pays for the disk; `datasets` shows no
progress bar.

Goals: bertx cold at least 1.5 times as fast as datasets cold; bertx warm at least 10 times as fast as cold.

    python -m tests.benchmarks.reading
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.benchmarks.rows import read_rows, write_rows
from tests.benchmarks.surroundings import data_folder, encoder_folder, print_json, verdict

MAX_PIECES = 128
WANTED_COLD_RATIO = 1.5
WANTED_WARM_RATIO = 10.0

# Encodes into a cache folder and returns the number of tokens.
Encode = Callable[[Path], Callable[[], int]]


def bertx_encoding(encoder: Path, source: Path) -> Encode:
    """Returns what reads, encodes and caches with bertx."""
    from bertx.data.cache import encode_file
    from bertx.data.dataset_readers.text_classification_json import TextClassificationJsonReader
    from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer

    reader = TextClassificationJsonReader(
        {"bert": BertPretrainedIndexer(str(encoder), max_pieces=MAX_PIECES)}
    )

    def encode(cache_folder: Path) -> Callable[[], int]:
        dataset = encode_file(reader, source, settings_hash="benchmark", cache_folder=cache_folder)
        return lambda: int(dataset.lengths().sum())

    return encode


def datasets_encoding(encoder: Path, source: Path) -> Encode:
    """Returns what reads, encodes and caches with `datasets`."""
    import datasets
    import pyarrow.compute
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(encoder, use_fast=True)
    # The first call changes the tokenizer's state and so the key of the cache of `map`.
    tokenizer(["a text"], truncation=True, max_length=MAX_PIECES)

    def tokenize(rows):
        return tokenizer(rows["text"], truncation=True, max_length=MAX_PIECES)

    def encode(cache_folder: Path) -> Callable[[], int]:
        loaded = datasets.load_dataset(
            "json", data_files=str(source), split="train", cache_dir=str(cache_folder)
        )
        encoded = loaded.map(tokenize, batched=True)
        lengths = pyarrow.compute.list_value_length
        return lambda: pyarrow.compute.sum(lengths(encoded.data["input_ids"])).as_py()

    return encode


def timed(encode: Encode, cache_folder: Path) -> tuple[float, int]:
    """Returns the seconds that an encoding took, and the number of tokens, counted outside the clock."""
    gc.collect()
    started = time.perf_counter()
    count = encode(cache_folder)
    seconds = time.perf_counter() - started
    return seconds, count()


def measure(encodings: dict[str, Encode], repeats: int) -> dict[str, list[float]]:
    """Times every system cold and warm; the systems take turns at coming first."""
    seconds: dict[str, list[float]] = {
        f"{name} {state}": [] for name in encodings for state in ("cold", "warm")
    }
    for turn in range(repeats):
        tokens = {}
        for name in list(encodings) if turn % 2 == 0 else reversed(encodings):
            with tempfile.TemporaryDirectory(prefix="bertx-benchmark-", ignore_cleanup_errors=True) as folder:
                for state in ("cold", "warm"):
                    taken, tokens[f"{name} {state}"] = timed(encodings[name], Path(folder))
                    seconds[f"{name} {state}"].append(taken)
        print("  ".join(f"{name} {found[-1]:.3f} s" for name, found in seconds.items()), flush=True)
        if len(set(tokens.values())) != 1:
            raise SystemExit(f"not the same work: tokens: {tokens}")
    return seconds


def summarise(seconds: dict[str, list[float]], rows: int) -> dict[str, object]:
    """Prints medians, ratios and verdicts; returns the figures."""
    medians = {name: median(found) for name, found in seconds.items()}
    for name, value in medians.items():
        print(f"{name:14}  median {value:.3f} s  ({min(seconds[name]):.3f} to {max(seconds[name]):.3f})")
    cold_ratio = medians["datasets cold"] / medians["bertx cold"]
    warm_ratio = medians["bertx cold"] / medians["bertx warm"]
    has_cold, has_warm = cold_ratio >= WANTED_COLD_RATIO, warm_ratio >= WANTED_WARM_RATIO
    print(f"bertx cold: {rows / medians['bertx cold']:,.0f} rows/s")
    print(f"cold: datasets / bertx = {cold_ratio:.2f} (at least {WANTED_COLD_RATIO}: {verdict(has_cold)})")
    print(f"bertx: cold / warm = {warm_ratio:.1f} (at least {WANTED_WARM_RATIO:g}: {verdict(has_warm)})")
    print(f"warm: datasets / bertx = {medians['datasets warm'] / medians['bertx warm']:.1f}")
    return {
        "seconds": seconds,
        "median_seconds": medians,
        "cold_ratio": cold_ratio,
        "warm_ratio": warm_ratio,
        "cold_at_least_1.5": has_cold,
        "warm_at_least_10": has_warm,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--encoder", type=Path, help="folder of a pretrained BERT, for its tokenizer (default: MiniLM)"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, help="only the first rows, for a trial (default: all)")
    args = parser.parse_args()
    encoder = encoder_folder(args.encoder)
    source = data_folder() / "sst2" / "train.jsonl"
    rows = read_rows(source)[: args.rows]
    with tempfile.TemporaryDirectory(prefix="bertx-benchmark-") as folder:
        copy = write_rows(rows, Path(folder) / "train.jsonl")
        print(f"sst2: {len(rows):,} rows, {args.repeats} repeats, {encoder}")
        encodings = {"bertx": bertx_encoding(encoder, copy), "datasets": datasets_encoding(encoder, copy)}
        figures = summarise(measure(encodings, args.repeats), len(rows))
    print_json("reading", vars(args) | {"rows": len(rows), "encoder": encoder}, figures)


if __name__ == "__main__":
    main()
