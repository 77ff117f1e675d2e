"""A planner that can be killed: `python -m tests.ablation.planner STUDY DIR`; its runs only pretend."""

from __future__ import annotations

import sys
from pathlib import Path

from bertx.ablation.running.ablate import ablate
from bertx.ablation.running.local import LocalExecutor
from bertx.ablation.running.progress import Counts
from bertx.ablation.running.runner import RunOptions
from bertx.ablation.running.shares import shares, usable_cores
from bertx.ablation.study.plan import plan_study
from bertx.ablation.study.study_file import read_study

COMMAND = [sys.executable, "-m", "tests.ablation.pretended_worker"]


def pretend_study(path: Path, folder: Path, options: RunOptions = RunOptions()) -> Counts:  # noqa: B008
    plan = plan_study(read_study(path))
    executor = LocalExecutor(shares(2, usable_cores(), []), COMMAND)
    return ablate(plan, folder, executor, options=options)[1]


if __name__ == "__main__":
    pretend_study(Path(sys.argv[1]), Path(sys.argv[2]))
