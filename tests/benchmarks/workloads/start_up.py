"""Start-up: what a process takes before it does anything, and one line's prediction in all."""

from __future__ import annotations

from tests.benchmarks.rows import write_rows
from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Column, Comparison, Round, System, Workload, value
from tests.benchmarks.workloads.classifiers import SYSTEMS, classifiers

TIMES = 3  # in each round, of which the median counts
CONFIG = "configs/quickstart.jsonnet"


def workload(setting: Setting) -> Workload:
    """Returns the workload."""
    line = write_rows([{"id": 0, "text": "a gripping film"}], setting.folder / "one_line.jsonl")
    run = classifiers(setting).run
    # Beside the input; a file that is there is replaced, as a user would have it.
    output = setting.folder / "one_prediction.jsonl"
    predict = ["-m", "bertx", "predict", str(run), str(line), "--output-file", str(output)]
    commands = {
        "predict_one_line": predict,
        "bertx_train": ["-c", "import bertx.runs.train"],
        "bertx_check": ["-m", "bertx", "check", CONFIG],
        "import_torch": ["-c", "import torch"],
        "import_trainer": ["-c", "from transformers import Trainer"],
        "import_datasets": ["-c", "import datasets"],
        "python": ["-c", "pass"],
    }
    timed = f"{SYSTEMS}.commands:time_python"
    return Workload(
        name="start_up",
        about=f"Whole processes, median of {TIMES} a round. predict_one_line: `bertx predict` of one line "
        "with a run of the encoder; bertx_train: the import of what `bertx train` needs; bertx_check: "
        f"`bertx check {CONFIG}`; bertx_help: `bertx --help`; import_trainer: the Trainer of transformers.",
        systems=[
            *(
                System(name, timed, {"arguments": arguments, "times": TIMES})
                for name, arguments in commands.items()
            ),
            System("bertx_help", f"{SYSTEMS}.commands:time_help", {"times": TIMES}),
        ],
        columns=[Column("seconds", "s", 3), Column("peak_mb", "peak memory, MB", 0)],
        comparisons=comparisons(),
        warm_up=True,
    )


def comparisons() -> list[Comparison]:
    """Returns the goals."""

    def beyond_torch(found: Round) -> float:
        return found["predict_one_line"]["seconds"] - 2 * found["import_torch"]["seconds"]

    def seconds_ratio(found: Round) -> float:
        return found["bertx_train"]["seconds"] / found["import_trainer"]["seconds"]

    return [
        Comparison("predict_one_line - 2 x import_torch, s", beyond_torch, at_most=0.5),
        Comparison("bertx_train / import_trainer", seconds_ratio, at_most=1 / 3),
        Comparison("bertx_help, s", value("seconds", "bertx_help"), at_most=0.15),
        Comparison(
            "bertx_help imports of torch, numpy, pydantic", value("heavy_imports", "bertx_help"), at_most=0
        ),
        Comparison("bertx_check, s", value("seconds", "bertx_check"), at_most=3),
    ]
