"""`bertx compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
examples:
  bertx compare runs/a runs/b
  bertx compare runs/a runs/b --data fixtures/reviews/test.jsonl --output-file a-and-b.html

Both runs are evaluated on the same instances, and tested instance by instance. `bertx diff` tells what
differs in configs and weights without evaluating; `bertx ablate` compares configs by several seeds of each.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "compare",
        help="compare two runs on the same instances, with a paired test, and write a page",
        description="Compares two runs on the same instances: a paired test, classes, confusion, and the\n"
        "instances they disagree about.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "old", type=Path, help="a run folder or a model.tar.gz: what the other is compared to"
    )
    parser.add_argument("new", type=Path, help="another one")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="evaluate both on this file (default: what the first was tested on, or else validated on)",
    )
    parser.add_argument(
        "--output-file",
        type=Path,
        default=Path("comparison.html"),
        metavar="FILE",
        help="the page to write (default: comparison.html)",
    )
    options.add_package_option(parser)
    options.add_device_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints in words what the comparison shows, and where the page is."""
    from bertx.atomic import require_replaceable
    from bertx.report.compare_page import compare_runs

    options.start_logging(args)
    require_replaceable(args.output_file)
    words = compare_runs(
        args.old,
        args.new,
        args.output_file,
        data=args.data,
        device=args.device,
        include_packages=args.include_package,
    )
    print(words, args.output_file, sep="\n")
