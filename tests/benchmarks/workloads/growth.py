"""Growth: do a million rows take a thousand times what a thousand take, and no more memory?"""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks.rows import write_rows
from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Column, Comparison, Round, System, Workload, ratio
from tests.benchmarks.texts import mixed_texts
from tests.benchmarks.workloads.classifiers import SYSTEMS

SIZES = (1_000, 10_000, 100_000, 1_000_000)
DISTINCT = 1_000  # so that every size has the same mix of lengths
ALLOWED_GROWTH = 1.1
ALLOWED_MEMORY = 1.05
COLUMNS = [
    Column("microseconds_per_row", "microseconds a row", 2),
    Column("rows_per_second", "rows/s", 0),
    Column("command_seconds", "s, whole command", 2),
    Column("peak_mb", "peak memory, MB", 0),
]


def workload(setting: Setting) -> Workload:
    """Returns the workload."""
    run = setting.folder / "tiny_run"
    setting.processes.measure(f"{SYSTEMS}.bertx_run:train_tiny", {"target": str(run)})
    texts = ({"text": text} for text in mixed_texts(setting.data, DISTINCT))
    source = write_rows(texts, setting.folder / "growth.jsonl")
    sizes = sorted({setting.rows(size, least=1_000) for size in SIZES})
    names = [f"{size:,} rows" for size in sizes]
    given = {"run": str(run), "source": str(source)}
    return Workload(
        name="growth",
        about=f"Prediction by bertx with the tiny encoder of fixtures/bert-tiny, from file to file: the same "
        f"{DISTINCT:,} texts of mixed lengths over and over. The time "
        "per row is without the start, which a file of one row shows by turns; the order is checked. "
        f"Time: the slowest size by the fastest; memory: {names[-1]} by {names[-2]}.",
        systems=[
            System(name, f"{SYSTEMS}.growth:predict_file", given | {"rows": size})
            for name, size in zip(names, sizes, strict=True)
        ],
        columns=COLUMNS,
        comparisons=[
            Comparison("time per row: slowest / fastest size", _spread(names), at_most=ALLOWED_GROWTH),
            Comparison(
                f"time per row: {names[-1]} / {names[0]}", ratio("microseconds_per_row", names[-1], names[0])
            ),
            Comparison(
                f"peak memory: {names[-1]} / {names[-2]}",
                ratio("peak_mb", names[-1], names[-2]),
                at_most=ALLOWED_MEMORY,
            ),
        ],
        most_repeats=3,
    )


def _spread(names: list[str]) -> Callable[[Round], float]:
    def spread(found: Round) -> float:
        times = [found[name]["microseconds_per_row"] for name in names]
        return max(times) / min(times)

    return spread
