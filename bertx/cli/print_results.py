"""`bertx print-results`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
examples:
  bertx print-results runs
  bertx print-results runs -k best_validation_accuracy test_accuracy
  bertx print-results runs/a runs/b -m metrics_epoch_0.json | column -s, -t
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "print-results",
        help="print the metrics of many runs as one table",
        description="Prints the metrics of all runs in and under folders as CSV; what a run lacks is N/A.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="folder", help="where the runs are")
    parser.add_argument(
        "-k",
        "--keys",
        nargs="+",
        action="extend",
        metavar="KEY",
        help="the metrics to print, such as best_validation_accuracy (default: all numbers)",
    )
    parser.add_argument(
        "-m",
        "--metrics-filename",
        default="metrics.json",
        metavar="NAME",
        help="the file to read in each run (default: metrics.json)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints the table."""
    from bertx.runs.results import results_table

    options.start_logging(args)
    print(results_table(args.folders, args.keys, args.metrics_filename), end="")
