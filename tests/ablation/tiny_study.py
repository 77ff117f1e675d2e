"""A tiny study: the tiny experiment on forty reviews, a few steps each."""

from __future__ import annotations

import json
from pathlib import Path

from bertx.ablation.running.ablate import ablate
from bertx.ablation.running.job import Job, Record
from bertx.ablation.running.runner import RunOptions
from bertx.ablation.running.worker import Make, work
from bertx.ablation.study.plan import StudyPlan, plan_study
from bertx.ablation.study.study_file import read_study
from tests.tiny import config, workplace

TRAIN, DEV = 40, 16  # instances, of which as many have each label
FACTORS = {"dropout": {"model.dropout": [0.2, 0.3]}, "rate": {"trainer.optimizer.lr": [1e-3]}}
STUDY = {"factors": FACTORS, "seeds": [1, 2], "metrics": ["accuracy", "loss"]}


def tiny_config(**changes: object) -> dict:
    """The tiny experiment, validated on a few reviews; changes are as for `tests.tiny.config`."""
    fast = {"evaluate_on_test": False, "test_data_path": ..., "trainer__num_epochs": 1}
    return config(**{**fast, **changes})


def study_file(folder: Path, study: dict | None = None, **changes: object) -> Path:
    """Writes data, config and a study of it; returns the study."""
    workplace(folder, tiny_config(**changes))
    for name, count in (("train", TRAIN), ("dev", DEV)):
        lines = (folder / "data" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        by_label = [[line for line in lines if f'"{label}"' in line] for label in ("positive", "negative")]
        kept = [line for label in by_label for line in label[: count // 2]]
        (folder / "data" / f"{name}.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return write_study(folder / "study.jsonnet", STUDY if study is None else study)


def write_study(path: Path, study: dict) -> Path:
    """Writes a study of the tiny experiment, with a line for each key, so that places can be told."""
    given = study if "configs" in study or "base" in study else {"base": "TINY", **study}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in given.items()]
    text = "{\n" + "".join(lines) + "}\n"
    path.write_text(text.replace('"TINY"', 'import "tiny.jsonnet"'), encoding="utf-8")
    return path


def plan_of(path: Path) -> StudyPlan:
    """Reads and plans a study."""
    return plan_study(read_study(path))


class Inline:
    """Makes each run at once, in this process.

    Args:
        make: Trains.
    """

    def __init__(self, make: Make) -> None:
        self.make = make
        self.made: list[str] = []

    def has_room(self) -> bool:
        return True

    def start(self, job: Job) -> Ended:
        self.made.append(job.title)
        return Ended(work(job, self.make))


class Ended:
    """A run that is over."""

    def __init__(self, status: int) -> None:
        self.status = status

    def poll(self) -> int:
        return self.status

    def stop(self, number: int) -> None:
        """Comes too late."""


def pretend(job: Job) -> Record:
    """Makes a run without training: its accuracy tells its seed and name apart."""
    job.run_folder.mkdir(parents=True, exist_ok=True)
    return Record(job.identity, {"accuracy": len(job.name) / 100, "loss": 1.0}, 0.5, 1000, 10, 5)


def pretended(path: Path, folder: Path, options: RunOptions | None = None, make: Make = pretend) -> Inline:
    """Runs a study without training; returns what was made."""
    executor = Inline(make)
    ablate(plan_of(path), folder, executor, options=options or RunOptions())
    return executor
