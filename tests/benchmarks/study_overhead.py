"""What a study costs beside its training steps: 60 short runs, with one worker for each core.

    python tests/benchmarks/study_overhead.py

Prints the seconds of all workers together, the sum of what must be (training steps, and the start of each
process: Python, torch, data from the cache, model), and their ratio.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bertx.ablation.running.ablate import ablate
from bertx.ablation.running.local import LocalExecutor
from bertx.ablation.running.measuring import measured
from bertx.ablation.running.shares import shares, usable_cores
from bertx.ablation.study.plan import plan_study
from bertx.ablation.study.study_file import read_study

STUDIES = Path(__file__).parent.parent.parent / "configs" / "studies"
EDITS = ["seeds=[1,2,3,4,5,6,7,8,9,10]", "base.trainer.num_epochs=1", "base.evaluate_on_test=false"]


def main() -> None:
    plan = plan_study(read_study(STUDIES / "recipe.jsonnet", EDITS))
    cores = usable_cores()
    divided = shares(len(cores), cores, [])
    starts = [measured(plan, divided[0], device=None, num_threads=1).start_seconds for _ in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        outcome, counts = ablate(plan, Path(folder), LocalExecutor(divided))
        seconds = (time.monotonic() - began) * len(cores)
    runs = [run for variant in outcome.variants for run in variant.runs]
    needed = sum(run.seconds or 0 for run in runs) + len(runs) * sorted(starts)[2]
    print(f"{counts}; start of a process: {sorted(starts)[2]:.2f} s")
    print(f"{seconds:.1f} s of {len(cores)} workers, needed {needed:.1f} s: ratio {seconds / needed:.3f}")


if __name__ == "__main__":
    main()
