"""`bertx schema`."""

from __future__ import annotations

import argparse

from bertx.cli import options

EPILOG = """\
examples:
  bertx schema > bertx.schema.json
  bertx schema Optimizer
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON Schema of configs, for editors",
        description="Prints the JSON Schema (2020-12) of a config, or of one family of components.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", help="a family such as Optimizer; by default a whole config")
    options.add_package_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    import json

    from bertx.config.packages import include_package
    from bertx.config.schema import family_named, json_schema
    from bertx.experiment import Experiment
    from bertx.runs.planning import register_components

    register_components()
    for name in args.include_package:
        include_package(name)
    root = Experiment if args.name is None else family_named(args.name)
    print(json.dumps(json_schema(root), indent=2, ensure_ascii=False))
