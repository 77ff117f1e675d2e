"""The benchmark suite: bertx beside what one would otherwise take, on the same work, in one run.

    python -m tests.benchmarks
    python -m tests.benchmarks --quick
    python -m tests.benchmarks --only fine_tuning_sst2 --systems bertx trainer_best --output figures

Every measurement is a fresh process. A round measures every system of a workload once; each round begins
with another one, so that what the machine does besides meets all alike. Ratios are made of the figures of one
round; the table shows their median. README.md beside this file says what is compared with what.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bertx.atomic import write_text
from tests.benchmarks.suite.processes import Processes
from tests.benchmarks.suite.report import as_json, as_markdown
from tests.benchmarks.suite.rounds import run_rounds
from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import System, Workload
from tests.benchmarks.surroundings import data_folder, encoder_folder, machine

# Each is made by a function of a module in workloads/.
WORKLOADS = {
    "machine": "machine:workload",
    "start_up": "start_up:workload",
    "reading_sst2": "reading:sst2",
    "reading_snli": "reading:snli",
    "fine_tuning_sst2": "fine_tuning:sst2",
    "fine_tuning_snli": "fine_tuning:snli",
    "bert_base": "bert_base:workload",
    "gpu_bert_base": "gpu:bert_base",
    "gpu_bert_large": "gpu:bert_large",
    "prediction": "prediction:workload",
    "documents": "documents:workload",
    "latency": "latency:workload",
    "growth": "growth:workload",
}
QUICK_SCALE, QUICK_REPEATS = 0.01, 2


def made(name: str, setting: Setting) -> Workload:
    """Makes a workload: its files and its systems."""
    module, _, function = WORKLOADS[name].partition(":")
    make = getattr(importlib.import_module(f"tests.benchmarks.workloads.{module}"), function)
    workload: Workload = make(setting)
    return workload


def chosen(workload: Workload, names: list[str] | None) -> list[System]:
    """Returns a workload's systems, or those of them that are wanted."""
    return [system for system in workload.systems if names is None or system.name in names]


def threads_of_torch() -> int:
    """Returns how many threads torch takes on this machine."""
    command = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def run_all(args: argparse.Namespace, setting: Setting) -> bool:
    """Measures all workloads; reports after each. Returns whether none failed."""
    settings = vars(args) | {"encoder": setting.encoder, "threads": setting.processes.threads}
    report: dict[str, object] = {"settings": settings, "machine": machine(), "workloads": []}
    tables, found, none_failed = [], [], True
    for name in args.only or WORKLOADS:
        print(f"{name}: preparing", flush=True)
        workload = made(name, setting)
        systems = chosen(workload, args.systems)
        if not systems:
            continue
        results = run_rounds(workload, systems, setting.processes, args.repeats)
        none_failed = none_failed and not results.failed
        tables.append(as_markdown(workload, systems, results))
        found.append(as_json(workload, systems, results))
        print(f"\n{tables[-1]}", flush=True)
        report["workloads"] = found
        if args.output is not None:
            write_text(args.output / "results.json", json.dumps(report, indent=2, default=str) + "\n")
            write_text(args.output / "results.md", heading(report) + "\n".join(tables))
    if args.output is None:
        print(json.dumps(report, default=str))
    return none_failed


def heading(report: dict[str, object]) -> str:
    """Returns what the figures depend on, for the head of the tables."""
    told = {"settings": report["settings"], "machine": report["machine"]}
    return f"# Benchmarks\n\n```json\n{json.dumps(told, indent=2, default=str)}\n```\n\n"


def parsed() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(WORKLOADS), metavar="WORKLOAD", help="run only these"
    )
    parser.add_argument("--systems", nargs="+", metavar="NAME", help="measure only these systems")
    parser.add_argument("--repeats", type=int, help=f"rounds (default: 5, with --quick {QUICK_REPEATS})")
    parser.add_argument("--scale", type=float, help="multiplies all numbers of rows (default: 1)")
    parser.add_argument(
        "--quick", action="store_true", help=f"a trial: --scale {QUICK_SCALE} --repeats {QUICK_REPEATS}"
    )
    parser.add_argument("--threads", type=int, help="for every system (default: as many as torch takes)")
    parser.add_argument("--encoder", type=Path, help="folder of a pretrained BERT (default: MiniLM)")
    parser.add_argument(
        "--kerashub-python", type=Path, metavar="FILE", help="a Python that has KerasHub (default: this one)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="write results.md and results.json there"
    )
    args = parser.parse_args()
    args.scale = args.scale or (QUICK_SCALE if args.quick else 1.0)
    args.repeats = args.repeats or (QUICK_REPEATS if args.quick else 5)
    return args


def main() -> None:
    args = parsed()
    if args.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(args.threads)
    with tempfile.TemporaryDirectory(prefix="bertx-benchmark-", ignore_cleanup_errors=True) as name:
        processes = Processes(Path(name), args.threads or threads_of_torch())
        encoder = encoder_folder(args.encoder)
        setting = Setting(
            Path(name), data_folder(), encoder, args.scale, processes, kerashub_python=args.kerashub_python
        )
        if not run_all(args, setting):
            raise SystemExit("a system failed; see above")


if __name__ == "__main__":
    main()
