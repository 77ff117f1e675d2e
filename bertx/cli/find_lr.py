"""`bertx find-lr`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
examples:
  bertx find-lr configs/quickstart.jsonnet -s runs/rates
  bertx find-lr configs/quickstart.jsonnet -s runs/rates --start-lr 1e-6 --end-lr 1 --stopping-factor 4

Writes lr-losses.csv and the picture lr-losses.png, which needs: pip install "bertx[report]"
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "find-lr",
        help="find a learning rate: train while it grows, and show the loss",
        description="Trains for a few batches while the learning rate grows, writes the loss for each rate\n"
        "as a table and a picture, and prints the rate at which it falls fastest.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="the config, a Jsonnet or JSON file")
    parser.add_argument(
        "-s", "--serialization-dir", type=Path, required=True, metavar="DIR", help="the folder to write"
    )
    parser.add_argument(
        "-f", "--force", action="store_true", help="move an existing folder aside (nothing is deleted)"
    )
    parser.add_argument(
        "--limit", type=options.positive, metavar="N", help="read only the first N instances of each split"
    )
    _add_rates(parser)
    options.add_config_options(parser)
    options.add_device_option(parser)
    options.add_log_option(parser)
    parser.set_defaults(run=run)


def _add_rates(parser: argparse.ArgumentParser) -> None:
    """Adds which learning rates to try."""
    parser.add_argument(
        "--start-lr", type=float, default=1e-5, metavar="X", help="the first rate (default: 1e-5)"
    )
    parser.add_argument("--end-lr", type=float, default=10.0, metavar="X", help="the last rate (default: 10)")
    parser.add_argument(
        "--num-batches",
        type=options.positive,
        default=100,
        metavar="N",
        help="how many batches (default: 100)",
    )
    parser.add_argument(
        "--stopping-factor",
        type=float,
        metavar="X",
        help="end when the mean loss of late is X times its lowest value (default: never)",
    )
    parser.add_argument(
        "--linear", action="store_true", help="let the rate grow by a constant difference, not a factor"
    )


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints the suggestions as JSON."""
    import json

    from bertx.runs.find_lr import RateRange, find_lr

    options.start_logging(args)
    rates = RateRange(args.start_lr, args.end_lr, args.num_batches, args.linear, args.stopping_factor)
    request = options.training_request(args)
    print(json.dumps(find_lr(request, rates, args.serialization_dir, force=args.force), indent=2))
