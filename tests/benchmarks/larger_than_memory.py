"""Trains on data larger than the memory that the process may have (Linux only).

Random sentences from a small vocabulary are written as JSONL; `bertx train` encodes them with an empty cache
and trains the repository's tiny encoder for some steps, drawn from all over the data. A first, small run
tells how much data memory such a process takes anyway. The second one, on all rows, may take only that and
`--allowance` more: RLIMIT_DATA, which counts what a process allocates and not the files that it maps.
Anonymous memory (RssAnon: what the system could not get back by dropping pages of files) is read 20 times a
second.

Goals: the large run succeeds, though the encoded data are at least 3 times the allowance; its anonymous
memory peaks at most the allowance above that of the small one.

    python -m tests.benchmarks.larger_than_memory
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.surroundings import REPOSITORY, print_json, verdict

ENCODER = REPOSITORY / "fixtures" / "bert-tiny"
WORDS = (
    "the",
    "film",
    "was",
    "long",
    "and",
    "dull",
    "but",
    "its",
    "music",
    "made",
    "me",
    "laugh",
    "a",
    "lot",
)
WORDS_PER_ROW = 60
WANTED_RATIO = 3.0  # encoded data to allowance
BASE_ROWS = 20_000
MB = 2**20
WATCHED = ("RssAnon", "VmData")


def write_data(path: Path, rows: int) -> None:
    """Writes labelled rows of random words, the same every time."""
    generator = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            text = " ".join(generator.choices(WORDS, k=WORDS_PER_ROW))
            file.write(f'{{"text": "{text}", "label": "{number % 2}"}}\n')


def write_config(path: Path, data: Path, steps: int) -> None:
    """Writes the config of a short training."""
    indexer = {"type": "bert-pretrained", "pretrained_model": str(ENCODER), "max_pieces": 128}
    config = {
        "dataset_reader": {"type": "text_classification_json", "token_indexers": {"bert": indexer}},
        "train_data_path": str(data),
        "model": {"type": "bert_for_classification", "bert_model": str(ENCODER)},
        "data_loader": {"batch_sampler": {"type": "bucket", "batch_size": 32}},
        "trainer": {"num_epochs": 1, "max_steps": steps, "optimizer": "adamw", "precision": "fp32"},
    }
    path.write_text(json.dumps(config), encoding="utf-8")


def memory(pid: int) -> dict[str, int]:
    """Returns the watched sizes of a process in bytes; nothing once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: int(fields[name].split()[0]) * 1024 for name in WATCHED if name in fields}


def train(folder: Path, rows: int, steps: int, limit: int | None) -> dict[str, float]:
    """Trains in a fresh process with an empty cache; returns peaks and size of data in bytes, and seconds."""
    folder.mkdir()
    write_data(folder / "train.jsonl", rows)
    write_config(folder / "config.json", folder / "train.jsonl", steps)
    command = [sys.executable, "-m", "bertx", "train", str(folder / "config.json"), "-s", str(folder / "run")]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--file-friendly-logging"],
        env={**os.environ, "BERTX_CACHE": str(folder / "cache")},
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
    )
    if limit is not None:
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (limit, limit))
    peaks = dict.fromkeys(WATCHED, 0)
    while process.poll() is None:
        for name, size in memory(process.pid).items():
            peaks[name] = max(peaks[name], size)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"training on {rows:,} rows failed: exit status {process.returncode}")
    encoded = sum(file.stat().st_size for file in (folder / "cache").rglob("*") if file.is_file())
    return {**peaks, "encoded": encoded, "seconds": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--allowance", type=int, default=256, metavar="MB")
    args = parser.parse_args()
    allowance = args.allowance * MB
    with tempfile.TemporaryDirectory(prefix="bertx-benchmark-") as temporary:
        small = train(Path(temporary) / "small", BASE_ROWS, args.steps, None)
        large = train(Path(temporary) / "large", args.rows, args.steps, int(small["VmData"]) + allowance)
    for name, found in (("small", small), ("large", large)):
        sizes = ", ".join(f"{key} {found[key] / MB:,.0f} MB" for key in ("encoded", *WATCHED))
        print(f"{name}: {sizes}, {found['seconds']:.1f} s")
    growth = large["RssAnon"] - small["RssAnon"]
    is_larger, fits = large["encoded"] >= WANTED_RATIO * allowance, growth <= allowance
    print(f"the data are at least {WANTED_RATIO:g} times the allowance: {verdict(is_larger)}")
    print(f"anonymous memory grew by {growth / MB:,.0f} MB, at most {args.allowance} MB: {verdict(fits)}")
    print_json("larger_than_memory", vars(args), {"small": small, "large": large, "growth": growth})


if __name__ == "__main__":
    main()
