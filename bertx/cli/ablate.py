"""`bertx ablate`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bertx.cli import options

if TYPE_CHECKING:
    from bertx.ablation.running.shares import Share
    from bertx.ablation.study.plan import StudyPlan

EPILOG = """\
examples:
  bertx ablate configs/studies/freezing.jsonnet -s studies/freezing --dry-run
  bertx ablate configs/studies/freezing.jsonnet -s studies/freezing
  bertx ablate configs/studies/freezing.jsonnet -s studies/freezing --retry-failed -o 'seeds=[1,2,3]'

The same command goes on with what was interrupted; finished runs are never repeated. exit status: 3 if some
runs failed, 75 or 130 if a signal stopped it.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "ablate",
        help="run a study: many configs, several seeds, one comparison",
        description="Makes all runs of a study, each in a process of its own; writes tables and a page.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("study", type=Path, help="the study, a Jsonnet or JSON file")
    parser.add_argument("-s", "--serialization-dir", type=Path, metavar="DIR", help="the folder of the study")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print every run with its difference from the base, steps, time and disk; make none of them",
    )
    add_choice_options(parser)
    add_machine_options(parser)
    options.add_config_options(parser)
    options.add_device_option(parser)
    options.add_log_option(parser)
    parser.set_defaults(run=run)


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Adds which runs are made."""
    parser.add_argument("--retry-failed", action="store_true", help="make runs anew that failed before")
    parser.add_argument(
        "--fail-fast", action="store_true", help="when a run fails, stop the others where they can go on"
    )
    parser.add_argument("--limit", type=options.positive, metavar="N", help="make N runs at most")


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """Adds what runs may use."""
    parser.add_argument(
        "--workers",
        type=options.positive,
        metavar="N",
        help="runs at once, among which cores and GPUs are divided (default: one for each GPU, else core)",
    )
    parser.add_argument(
        "--executor",
        choices=("local", "ray", "slurm"),
        default="local",
        help="what makes the runs: this machine (default), the Ray cluster of RAY_ADDRESS, or Slurm, to "
        "which they are submitted; the same command, given again, collects them",
    )
    parser.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="OPTION",
        help="an option of sbatch, such as --slurm=--partition=long; repeatable",
    )
    parser.add_argument(
        "--threads",
        type=options.positive,
        default=1,
        metavar="N",
        help="threads of each run (default: 1); with another number the last digits of losses may differ",
    )


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints the table of the study."""
    from bertx.ablation.running.ablate import Resources, ablate, ablate_with_slurm, require_own
    from bertx.ablation.running.local import LocalExecutor
    from bertx.ablation.running.ray_cluster import RayExecutor
    from bertx.ablation.running.runner import RunOptions
    from bertx.ablation.running.search import search
    from bertx.ablation.running.shares import shares, usable_cores, usable_gpus
    from bertx.ablation.running.slurm import SlurmRequest
    from bertx.ablation.study.plan import plan_study
    from bertx.ablation.study.study_file import read_study
    from bertx.errors import StudyError, UsageError

    options.start_logging(args)
    if args.serialization_dir is None and not args.dry_run:
        raise UsageError("bertx ablate: -s DIR is missing; it names the folder of the study")
    study = read_study(args.study, args.overrides, dict(args.ext_var), args.import_path)
    plan = plan_study(study, args.include_package)
    if args.serialization_dir is not None:
        require_own(args.serialization_dir, plan)
    cores, gpus = usable_cores(), usable_gpus(args.device)
    divided = shares(args.workers or len(gpus) or len(cores), cores, gpus)
    if args.dry_run:
        print(_dry_run(args, plan, divided))
        return
    choice = RunOptions(args.retry_failed, args.fail_fast, args.limit)
    resources = Resources(args.threads, args.device)
    folder = args.serialization_dir
    if args.executor == "slurm" and study.file.search is not None:
        raise UsageError("--executor slurm: a search waits for its trials; use local or ray")
    if args.executor == "slurm":
        request = SlurmRequest(args.workers or len(plan.runs), args.threads, args.slurm)
        counts = ablate_with_slurm(plan, folder, request, options=choice, resources=resources)
    else:
        executor = RayExecutor(args.threads, bool(gpus)) if args.executor == "ray" else LocalExecutor(divided)
        make = ablate if study.file.search is None else search
        _, counts = make(plan, folder, executor, options=choice, resources=resources)
    _tell(folder)
    if counts.failed:
        raise StudyError(f"{args.study}: {counts}; --retry-failed makes them anew")


def _tell(folder: Path) -> None:
    """Writes tables and page of a study; prints the table and where the page is."""
    from bertx.ablation.results.tables import write_tables
    from bertx.report.study.page import write_study_page

    page = write_study_page(write_tables(folder))
    print((folder / "table.md").read_text(encoding="utf-8"), page, sep="\n")


def _dry_run(args: argparse.Namespace, plan: StudyPlan, divided: Sequence[Share]) -> str:
    from bertx.ablation.running.estimate import describe_plan
    from bertx.ablation.running.job import make_job
    from bertx.ablation.running.measuring import measured

    folder = args.serialization_dir or Path("no such folder")
    jobs = [make_job(plan, run, folder, device=args.device, num_threads=args.threads) for run in plan.runs]
    found = measured(plan, divided[0], device=args.device, num_threads=args.threads)
    return describe_plan(plan, jobs, found, workers=len(divided))
