"""`bertx describe`."""

from __future__ import annotations

import argparse

from bertx.cli import options

EPILOG = """\
examples:
  bertx describe
  bertx describe Optimizer
  bertx describe Model bert_for_classification
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "describe",
        help="list families and components, and what each takes",
        description="Lists the families of components, the members of one, or what one component takes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("family", nargs="?", help="a family such as Optimizer")
    parser.add_argument("name", nargs="?", help="a registered name such as adamw")
    options.add_package_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    from bertx.config.packages import include_package
    from bertx.config.schema import describe, describe_maker
    from bertx.experiment import Experiment
    from bertx.runs.planning import register_components

    register_components()
    for name in args.include_package:
        include_package(name)
    if args.family is None:
        print(describe_maker(Experiment, "a config"))
        print()
    print(describe(args.family, args.name))
