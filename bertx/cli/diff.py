"""`bertx diff`."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """\
examples:
  bertx diff runs/a runs/b/model.tar.gz
  bertx diff runs/a/checkpoints/step-00000100 runs/a/checkpoints/step-00000200 --threshold 1e-3
  bertx diff fixtures/bert-tiny runs/a --strip-prefix-1 bert. --strip-prefix-2 bert. --json

The distance of two tensors is the root of their mean squared difference, times --scale. Of tensors, ! marks
one that is different, + one that only the second has, - one that only the first has.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "diff",
        help="show what differs between two runs or two files of weights",
        description="Shows what differs between two runs: config, metrics, environment, vocabulary, weights.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = "a run folder, a model.tar.gz, a checkpoint, or a safetensors file"
    parser.add_argument("old", type=Path, help=what)
    parser.add_argument("new", type=Path, help="another one")
    for number in (1, 2):
        parser.add_argument(
            f"--strip-prefix-{number}",
            default="",
            metavar="PREFIX",
            help="take this off the names of tensors of the " + ("first", "second")[number - 1],
        )
    parser.add_argument(
        "--scale", type=float, default=1.0, metavar="X", help="multiplies distances (default: 1)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=1e-5,
        metavar="X",
        help="the largest distance of tensors that count as the same (default: 1e-5)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints the differences."""
    import orjson

    from bertx.runs.diff import diff
    from bertx.runs.weights_diff import Measure

    prefixes = (args.strip_prefix_1, args.strip_prefix_2)
    found = diff(args.old, args.new, Measure(args.scale, args.threshold), prefixes)
    if args.json:
        print(orjson.dumps(found.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        print(found.as_text())
