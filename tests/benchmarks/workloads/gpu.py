"""Fine-tuning encoders of BERT-base's and BERT-large's shape on a GPU: speed alone."""

from __future__ import annotations

from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Column, Comparison, System, Workload, ratio, value
from tests.benchmarks.workloads.bert_base import prepared
from tests.benchmarks.workloads.fine_tuning import shares, work_of
from tests.benchmarks.workloads.machine import RATES

ROWS = 32_000  # 1,000 steps, from which on bertx compiles by itself
NO_GPU = (
    "NOT MEASURED: torch finds no GPU here, so there is nothing to compare. What the machine has instead:"
)
COLUMNS = [
    Column("examples_per_second", "examples/s", 0),
    Column("seconds", "s in all"),
    Column("bf16_gflops", "GFLOP/s in bf16", 0),
]
ABOUT = (
    "{rows:,} rows of SST-2, {tokens:.1f} real tokens a row, in batches of 32 through an encoder of the "
    "shape of {shape} with random weights, in bf16. bertx packs sequences and compiles layers; trainer_best "
    "groups by length, with SDPA; trainer_compiled compiles as well. examples/s: of the training steps; "
    "bertx compiles before the first of them, the Trainer in it: see the seconds of all. {gflop:.2f} "
    "GFLOP a row. Its accuracy means nothing."
)


def bert_base(setting: Setting) -> Workload:
    """Returns the workload of 12 layers of 768."""
    return workload(setting, "gpu_bert_base", "bert_base_en_uncased")


def bert_large(setting: Setting) -> Workload:
    """Returns the workload of 24 layers of 1,024."""
    return workload(setting, "gpu_bert_large", "bert_large_en_uncased")


def workload(setting: Setting, name: str, preset: str) -> Workload:
    """Returns the workload of a shape; without a GPU, one that says so."""
    if not setting.processes.measure("tests.benchmarks.systems.machine:gpus", {})["gpus"]:
        return Workload(name, NO_GPU, [RATES], COLUMNS[2:], most_repeats=1)
    given = prepared(setting, name, preset, ROWS)
    work = work_of(setting, given)
    return Workload(
        name=name,
        about=ABOUT.format(rows=setting.rows(ROWS), shape=preset, **work),
        systems=[*systems(given), RATES],
        columns=COLUMNS,
        comparisons=[*speed(), *tokens(work["tokens"]), *shares(work["gflop"])[::2]],
    )


def systems(given: dict[str, object]) -> list[System]:
    """Returns bertx and the Trainer, each as it is and with the other choice about compiling."""
    bertx = "tests.benchmarks.systems.bertx_fine_tuning:fine_tune"
    best = given | {"is_best": True}
    trainer = "tests.benchmarks.systems.trainer:fine_tune"
    return [
        System("bertx", bertx, given),
        System("bertx_uncompiled", bertx, given | {"is_compiled": False}),
        System("trainer_best", trainer, best),
        System("trainer_compiled", trainer, best | {"is_compiled": True}),
    ]


def speed() -> list[Comparison]:
    """Returns bertx beside each of the others."""
    rate = "examples_per_second"
    others = ("bertx_uncompiled", "trainer_best", "trainer_compiled")
    return [Comparison(f"examples/s: bertx / {other}", ratio(rate, "bertx", other)) for other in others]


def tokens(per_row: float) -> list[Comparison]:
    """Returns the real tokens per second of each."""
    return [
        Comparison(f"real tokens/s: {name}", value("examples_per_second", name, per_row))
        for name in ("bertx", "trainer_best", "trainer_compiled")
    ]
