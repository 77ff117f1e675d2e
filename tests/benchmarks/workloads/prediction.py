"""Bulk prediction of texts of mixed lengths, from file to file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.rows import write_rows
from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Column, Comparison, System, Workload, ratio
from tests.benchmarks.texts import mixed_texts
from tests.benchmarks.workloads.classifiers import SYSTEMS, Classifiers, classifiers

RATE = "rows_per_second"
COLUMNS = [
    Column("rows", "rows", 0),
    Column(RATE, "rows/s"),
    Column("rows_per_second_with_start", "rows/s, start included"),
    Column("start_seconds", "s to start", 2),
    Column("agreement", "same label as fp32, %", 2),
    Column("peak_mb", "peak memory, MB", 0),
]
# The slower, the fewer, so that a round ends; all take the first of the same shuffled rows.
ROWS = {
    "bertx": 100_000,
    "bertx_int8": 100_000,
    "bertx_2_workers": 100_000,
    "pipeline": 1_500,
    "hand_fp32": 5_000,
    "hand_bf16": 20_000,
    "ort_fp32": 5_000,
    "ort_int8": 20_000,
}
# What `bertx predict` gets. Workers share the threads: with 2 threads each of 2 workers has one.
OPTIONS = {
    "bertx": [],
    "bertx_int8": ["--precision", "int8"],
    "bertx_2_workers": ["--workers", "2"],
}
REFERENCE_ROWS = 5_000
ABOUT = (
    "bertx by its command `bertx predict`; the others in a process that reads, predicts and writes a file "
    "with labels and probabilities. rows/s is without the start: for bertx, what a file of one row takes is "
    "subtracted; the others' clocks begin when the model is loaded and has predicted once. The slower take "
    "fewer rows, the first of the same. pipeline: batch_size=32; hand: a loop of transformers, sorted by "
    "length, batches of 32, bf16 with weights in bf16; ort: the same loop with ONNX Runtime, int8 by dynamic "
    "quantisation. Labels are compared with those of transformers in fp32 on the first {reference:,} rows."
)


def workload(setting: Setting) -> Workload:
    """Returns the workload."""
    texts = mixed_texts(setting.data, setting.rows(ROWS["bertx"]))
    return Workload(
        name="prediction",
        about=f"{len(texts):,} texts of mixed lengths: phrases, sentences, and passages of novels of 20 to "
        f"300 words. {about(setting)}",
        systems=systems(setting, "prediction", texts, ROWS),
        columns=COLUMNS,
        comparisons=[
            Comparison("rows/s: bertx / pipeline", ratio(RATE, "bertx", "pipeline"), at_least=8),
            Comparison("rows/s: bertx / hand_bf16", ratio(RATE, "bertx", "hand_bf16"), at_least=1.3),
            Comparison("rows/s: bertx_int8 / ort_int8", ratio(RATE, "bertx_int8", "ort_int8"), at_least=1.1),
            Comparison("rows/s: bertx / hand_fp32", ratio(RATE, "bertx", "hand_fp32")),
            Comparison("rows/s: bertx / ort_fp32", ratio(RATE, "bertx", "ort_fp32")),
            Comparison("rows/s: bertx_int8 / bertx", ratio(RATE, "bertx_int8", "bertx")),
            Comparison("rows/s: bertx_2_workers / bertx", ratio(RATE, "bertx_2_workers", "bertx")),
        ],
    )


def about(setting: Setting) -> str:
    """Tells how file-to-file prediction is measured."""
    return ABOUT.format(reference=setting.rows(REFERENCE_ROWS))


def systems(setting: Setting, name: str, texts: list[str], rows: Mapping[str, int]) -> list[System]:
    """Returns bertx and its peers on the same texts, with labels to compare with.

    Args:
        setting: The setting.
        name: The workload's.
        texts: What to predict for.
        rows: How many rows each system takes at full size, and no other systems.
    """
    made = classifiers(setting)
    folder = setting.folder / name
    folder.mkdir()
    numbered = ({"id": number, "text": text} for number, text in enumerate(texts))
    source = write_rows(numbered, folder / "input.jsonl")
    common: dict[str, object] = {
        "source": str(source),
        "reference": str(_reference(setting, made, source, folder, len(texts))),
    }
    found = [_bertx(system, made, common, setting.rows(rows[system])) for system in OPTIONS if system in rows]
    for system, (loader, arguments) in made.loaders().items():
        given = {"loader": loader, "arguments": arguments, "rows": setting.rows(rows[system])}
        found.append(System(system, f"{SYSTEMS}.prediction:predict_file", common | given))
    return found


def _bertx(name: str, made: Classifiers, common: dict[str, object], rows: int) -> System:
    given = {"run": str(made.run), "options": OPTIONS[name], "rows": rows}
    return System(name, f"{SYSTEMS}.bertx_prediction:predict_file", common | given)


def _reference(setting: Setting, made: Classifiers, source: Path, folder: Path, most: int) -> Path:
    loader, arguments = made.loaders()["hand_fp32"]
    output = folder / "reference.jsonl"
    rows = min(most, setting.rows(REFERENCE_ROWS))
    given = {"loader": loader, "arguments": arguments, "source": str(source), "rows": rows}
    setting.processes.measure(f"{SYSTEMS}.prediction:predict_file", given | {"output": str(output)})
    return output
