"""Predicts for a million lines with `bertx predict`: speed, memory over time, and order.

The input is made of SST-2's and SNLI's texts, one to six of them joined, so that lengths are mixed, each
line with its number as id; the same lines every time. The process and its children are watched: resident
memory (RSS) once a second. Afterwards the output is read and the ids are compared with the input's.

Goals: one line for each line in the same order, and memory that stays as it is: the peak of the whole run
is at most 5 % above that of its first tenth.

    python -m tests.benchmarks.bulk_prediction runs/sst2

RUN must be a run whose dataset reader is text_classification_json without pairs.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bertx.runs.archive import open_run
from tests.benchmarks.rows import read_rows, write_rows
from tests.benchmarks.surroundings import data_folder, print_json, verdict

MOST_TEXTS = 6  # joined to one line
ALLOWED_GROWTH = 1.05
MB = 2**20

Sample = tuple[float, int]  # seconds since the start, bytes


def keys_of(run: Path) -> tuple[str, str]:
    """Returns the keys of text and id that a run's reader expects."""
    config = open_run(run).config
    reader = config.get("validation_dataset_reader") or config["dataset_reader"]
    if reader.get("type") != "text_classification_json" or reader.get("pair_key"):
        raise SystemExit(
            f"{run}: reads {reader.get('type')}; expected text_classification_json without pairs"
        )
    return reader.get("text_key") or "text", reader.get("id_key") or "id"


def made_lines(number: int, text_key: str, id_key: str) -> Iterator[dict[str, object]]:
    """Makes records of mixed length, always the same."""
    data, generator = data_folder(), random.Random(0)
    texts = [row["text"] for row in read_rows(data / "sst2" / "train.jsonl")]
    for row in read_rows(data / "snli" / "train.jsonl"):
        texts += [row["sentence1"], row["sentence2"]]
    for place in range(number):
        chosen = generator.choices(texts, k=generator.randint(1, MOST_TEXTS))
        yield {id_key: place, text_key: " ".join(chosen)}


def watched(command: list[str]) -> tuple[float, list[Sample]]:
    """Runs a command; returns its seconds and its resident memory once a second."""
    started = time.perf_counter()
    samples: list[Sample] = []
    process = subprocess.Popen(command)
    try:
        while True:
            try:
                process.wait(timeout=1.0)
                break
            except subprocess.TimeoutExpired:
                samples.append((time.perf_counter() - started, resident(process.pid)))
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return seconds, samples


def resident(pid: int) -> int:
    """Returns the resident memory of a process and its children, in bytes."""
    total = 0
    try:
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            total += member.memory_info().rss
    except psutil.NoSuchProcess:  # it ended meanwhile
        pass
    return total


def first_wrong_line(output: Path, number: int) -> str | None:
    """Returns what is wrong with the first line that is not the input's; None: nothing."""
    found = 0
    with output.open(encoding="utf-8") as file:
        for found, line in enumerate(file, start=1):
            if (identifier := json.loads(line)["id"]) != found - 1:
                return f"line {found} has id {identifier!r}, expected {found - 1}"
    return None if found == number else f"{found} lines, expected {number}"


def summarise(lines: int, seconds: float, samples: list[Sample], problem: str | None) -> dict[str, object]:
    """Prints speed, memory and order; returns the figures."""
    print(f"{lines:,} lines in {seconds:.1f} s, start included: {lines / seconds:,.0f} rows/s")
    figures: dict[str, object] = {"seconds": seconds, "rows_per_second": lines / seconds, "problem": problem}
    if len(samples) < 10:
        print("memory: too short a run to say; give more --lines")
    else:
        early = max(memory for moment, memory in samples if moment <= max(seconds / 10, samples[0][0]))
        whole = max(memory for _, memory in samples)
        last = samples[-1][1]
        is_constant = whole <= ALLOWED_GROWTH * early
        print(f"peak RSS: {early / MB:,.0f} MB in the first tenth, {whole / MB:,.0f} MB in all")
        print(f"RSS at the end: {last / MB:,.0f} MB")
        print(f"constant memory (at most {100 * (ALLOWED_GROWTH - 1):.0f} % more): {verdict(is_constant)}")
        figures |= {"peak_mb_first_tenth": early / MB, "peak_mb": whole / MB, "end_mb": last / MB}
        # About 100 points are enough for a curve.
        step = max(1, len(samples) // 100)
        figures |= {
            "constant": is_constant,
            "rss": [(round(moment), round(memory / MB)) for moment, memory in samples[::step]],
        }
    print(f"every line there, in order: {verdict(problem is None)}{'; ' + problem if problem else ''}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_path", type=Path, metavar="RUN", help="a run folder or model.tar.gz")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument(
        "--folder", type=Path, help="keep input and output here (default: a temporary folder)"
    )
    args = parser.parse_args()
    text_key, id_key = keys_of(args.run_path)
    with tempfile.TemporaryDirectory(prefix="bertx-benchmark-") as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        source = write_rows(made_lines(args.lines, text_key, id_key), folder / "input.jsonl")
        output = folder / "output.jsonl"
        print(f"{source}: {args.lines:,} lines, {source.stat().st_size / MB:,.0f} MB", flush=True)
        command = [sys.executable, "-m", "bertx", "predict", str(args.run_path), str(source)]
        command += [
            "--output-file",
            str(output),
            "--batch-size",
            str(args.batch_size),
            "--file-friendly-logging",
        ]
        seconds, samples = watched(command)
        figures = summarise(args.lines, seconds, samples, first_wrong_line(output, args.lines))
    print_json("bulk_prediction", vars(args), figures)


if __name__ == "__main__":
    main()
