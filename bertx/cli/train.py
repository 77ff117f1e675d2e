"""`bertx train`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
examples:
  bertx train configs/quickstart.jsonnet -s runs/quickstart
  bertx train configs/quickstart.jsonnet -s runs/long -o trainer.num_epochs=10 -o model.dropout=0.2
  bertx train configs/quickstart.jsonnet -s runs/quickstart --recover
  torchrun --nproc-per-node 2 -m bertx train configs/quickstart.jsonnet -s runs/quickstart
  bertx train configs/sst2.jsonnet -s runs/sst2 --ext-var DATA=../shared/data
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a model and write a run folder",
        description="Trains what a config describes, validates after every epoch, and writes the run folder.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="the config, a Jsonnet or JSON file")
    parser.add_argument("-s", "--serialization-dir", type=Path, metavar="DIR", help="the run folder to write")
    parser.add_argument(
        "-f", "--force", action="store_true", help="move an existing run folder aside (nothing is deleted)"
    )
    parser.add_argument(
        "--recover",
        action="store_true",
        help="go on with the run that was interrupted in DIR; without one, begin it",
    )
    parser.add_argument(
        "--allow-config-change",
        action="store_true",
        help="let --recover go on though keys such as trainer.num_epochs have changed",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="read the data, print statistics and estimates; train nothing"
    )
    parser.add_argument(
        "--limit", type=options.positive, metavar="N", help="read only the first N instances of each split"
    )
    options.add_config_options(parser)
    options.add_device_option(parser)
    options.add_log_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints the metrics as JSON."""
    import json
    import sys

    from bertx.errors import UsageError
    from bertx.progress import Progress
    from bertx.runs.dry_run import dry_run
    from bertx.runs.launch import launch, must_launch
    from bertx.runs.preparation import plan_request, planned_processes
    from bertx.runs.train import train
    from bertx.world import World

    is_main = World.current().is_main
    Progress.silent = not is_main
    if is_main:
        options.start_logging(args)
    request = options.training_request(args)
    if args.dry_run:
        print(dry_run(request))
        return
    if args.serialization_dir is None:
        raise UsageError("bertx train: -s DIR is missing; it names the run folder to write")
    if args.force and args.recover:
        raise UsageError("bertx train: --force moves away the run that --recover goes on with; drop one")
    distributed = planned_processes(plan_request(request))
    if distributed is not None and must_launch(distributed):
        raise SystemExit(launch(distributed, ["-m", "bertx", *sys.argv[1:]]))
    metrics = train(
        request,
        args.serialization_dir,
        force=args.force,
        recover=args.recover,
        allow_config_change=args.allow_config_change,
    )
    if is_main:
        print(json.dumps(metrics, indent=2))
