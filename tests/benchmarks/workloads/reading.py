"""Reading, encoding and caching data."""

from __future__ import annotations

from tests.benchmarks.rows import write_rows
from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Column, Comparison, System, Workload, ratio
from tests.benchmarks.tasks import TASKS
from tests.benchmarks.workloads.classifiers import SYSTEMS

COLUMNS = [
    Column("rows_per_second", "rows/s", 0),
    Column("seconds", "s, first time", 3),
    Column("again_seconds", "s, second time", 3),
    Column("tokens", "tokens", 0),
    Column("peak_mb", "peak memory, MB", 0),
]


def sst2(setting: Setting) -> Workload:
    """Returns the workload of SST-2."""
    return workload(setting, "sst2", 67_349)


def snli(setting: Setting) -> Workload:
    """Returns the workload of SNLI."""
    return workload(setting, "snli", 20_000)


def workload(setting: Setting, task: str, number: int) -> Workload:
    """Returns the workload of a task."""
    rows = TASKS[task].rows(setting.data / task / "train.jsonl", setting.rows(number, least=1_000))
    source = write_rows(rows, setting.folder / f"reading_{task}.jsonl")
    given = {"task": task, "source": str(source), "encoder": str(setting.encoder)}
    names = ("bertx", "datasets")
    return Workload(
        name=f"reading_{task}",
        about=f"{len(rows):,} rows of {task}: read the JSONL, encode (at most 128 pieces), write a cache, "
        "open it; then the same again, which finds the cache. datasets: load_dataset and map(batched=True) "
        "with the fast tokenizer of transformers. The tokenizer is loaded before.",
        systems=[System(name, f"{SYSTEMS}.encoding:{name}", given) for name in names],
        columns=COLUMNS,
        comparisons=[
            Comparison("rows/s, first time: bertx / datasets", ratio("rows_per_second", *names), at_least=2),
            Comparison("second time: datasets / bertx", ratio("again_seconds", *reversed(names))),
            Comparison(
                "bertx: first time / second time",
                lambda found: found["bertx"]["seconds"] / found["bertx"]["again_seconds"],
                at_least=10 if setting.scale >= 1 else None,  # few rows are soon encoded
            ),
            Comparison("tokens: bertx / datasets", ratio("tokens", *names), at_least=1, at_most=1),
        ],
    )
