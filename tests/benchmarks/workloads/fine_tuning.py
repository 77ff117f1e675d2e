"""Fine-tuning MiniLM, or another encoder, on SST-2 and SNLI."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

from tests.benchmarks.rows import write_rows
from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Column, Comparison, Round, System, Workload, ratio
from tests.benchmarks.tasks import TASKS, Task
from tests.benchmarks.workloads.machine import RATES

ALLOWED_POINTS = 0.3  # how far bertx's mean accuracy may be below
KERASHUB_SHARE = 0.1  # of the rows; it pads all and is slow
KERASHUB_DEV_ROWS = 500
COLUMNS = [
    Column("examples_per_second", "examples/s"),
    Column("accuracy", "accuracy, %", 2),
    Column("peak_mb", "peak memory, MB", 0),
    Column("seconds", "s in all"),
    Column("is_bf16", "chose bf16", 0),
    Column("bf16_gflops", "GFLOP/s in bf16", 0),
    Column("fp32_gflops", "GFLOP/s in fp32", 0),
]
ABOUT = (
    "{rows:,} rows of {task} (a new seed each round), one epoch, {tokens:.1f} real tokens a row, encoder "
    "{encoder}: AdamW, lr 5e-5, decay 0.01, warm-up and linear fall, clipped to norm 1, batches of 32, at "
    "most 128 pieces. examples/s: of the training steps alone; accuracy: on the development set; memory: of "
    "the whole process. trainer_default: fp32, random order, padded to the longest of a batch; trainer_best: "
    "bf16 and group_by_length. Real tokens need {gflop:.2f} GFLOP a row: 6 for each weight of the layers "
    "and token, and the attention's products."
)


def sst2(setting: Setting) -> Workload:
    """Returns the workload of SST-2."""
    return workload(setting, TASKS["sst2"], 8_000)


def snli(setting: Setting) -> Workload:
    """Returns the workload of SNLI."""
    return workload(setting, TASKS["snli"], 8_000)


def workload(setting: Setting, task: Task, rows: int) -> Workload:
    """Returns the workload of a task."""
    folder = setting.folder / f"fine_tuning_{task.name}"
    folder.mkdir()
    train = task.rows(setting.data / task.name / "train.jsonl", setting.rows(rows))
    dev = task.rows(setting.data / task.name / "dev.jsonl", setting.rows(100_000))
    given: dict[str, object] = {
        "task": task.name,
        "train_file": str(write_rows(train, folder / "train.jsonl")),
        "dev_file": str(write_rows(dev, folder / "dev.jsonl")),
        "encoder": str(setting.encoder),
    }
    work = work_of(setting, given)
    keras_rows = setting.rows(round(KERASHUB_SHARE * rows))
    return Workload(
        name=f"fine_tuning_{task.name}",
        about=ABOUT.format(rows=len(train), task=task.name, encoder=setting.encoder, **work),
        systems=[*systems(given), kerashub(setting, given, keras_rows, int(work["longest"])), RATES],
        columns=COLUMNS,
        comparisons=[*speed(2, 2.5, 6, 8), *accuracy(), *memory(), *shares(work["gflop"])],
    )


def work_of(setting: Setting, given: dict[str, object]) -> dict[str, float]:
    """Counts what the training rows need."""
    counted = {key: given[key] for key in ("task", "train_file", "encoder")}
    return setting.processes.measure("tests.benchmarks.systems.work:training_gflop_per_row", counted)


def systems(given: dict[str, object]) -> list[System]:
    """Returns bertx and the Trainer twice."""
    trainer = "tests.benchmarks.systems.trainer:fine_tune"
    return [
        System("bertx", "tests.benchmarks.systems.bertx_fine_tuning:fine_tune", given),
        System("trainer_best", trainer, given | {"is_best": True}),
        System("trainer_default", trainer, given | {"is_best": False}),
    ]


def kerashub(setting: Setting, given: dict[str, object], rows: int, longest: int) -> System:
    """Returns KerasHub, on fewer rows."""
    return System(
        "kerashub",
        "tests.benchmarks.systems.kerashub:fine_tune",
        given | {"rows": rows, "dev_rows": KERASHUB_DEV_ROWS, "sequence_length": longest},
        note=f"the first {rows:,} rows, {KERASHUB_DEV_ROWS} of development",
        python=setting.kerashub_python,
    )


def speed(best: float, best_aim: float | None, default: float, default_aim: float | None) -> list[Comparison]:
    """Returns the goals of speed."""
    rate = "examples_per_second"
    return [
        Comparison(
            "examples/s: bertx / trainer_best", ratio(rate, "bertx", "trainer_best"), best, aim=best_aim
        ),
        Comparison(
            "examples/s: bertx / trainer_default",
            ratio(rate, "bertx", "trainer_default"),
            default,
            aim=default_aim,
        ),
        Comparison("examples/s: bertx / kerashub", ratio(rate, "bertx", "kerashub")),
    ]


def accuracy() -> list[Comparison]:
    """Returns the goal of accuracy: means, because points are as likely to be won as lost by the seed."""

    def points(other: str) -> Callable[[Round], float]:
        return lambda found: found["bertx"]["accuracy"] - found[other]["accuracy"]

    best = "accuracy: bertx - trainer_best, points (mean)"
    default = "accuracy: bertx - trainer_default, points (mean)"
    return [
        Comparison(best, points("trainer_best"), at_least=-ALLOWED_POINTS, average=mean),
        Comparison(default, points("trainer_default"), average=mean),
    ]


def memory() -> list[Comparison]:
    """Returns the goal of memory."""
    return [
        Comparison(
            f"peak memory: bertx / {other}", ratio("peak_mb", "bertx", other), at_most=1 if is_goal else None
        )
        for other, is_goal in (("trainer_best", True), ("trainer_default", True), ("kerashub", False))
    ]


def shares(gflop: float) -> list[Comparison]:
    """Returns which part of the machine's rates the real tokens use, in percent."""

    def share(system: str, rate: str) -> Callable[[Round], float]:
        return lambda found: (
            100 * gflop * found[system]["examples_per_second"] / found["machine"][f"{rate}_gflops"]
        )

    return [
        Comparison(f"% of the machine's {rate} rate used by {system}", share(system, rate))
        for system, rate in (
            ("bertx", "bf16"),
            ("bertx", "fp32"),
            ("trainer_best", "bf16"),
            ("trainer_default", "fp32"),
        )
    ]
