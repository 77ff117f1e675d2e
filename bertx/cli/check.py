"""`bertx check`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
example:
  bertx check configs/*.jsonnet --ext-var DATA=../shared/data --ext-var ENCODER=google-bert/bert-base-uncased
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "check",
        help="print all problems of configs at once, without building anything",
        description="Checks configs against the signatures of all registered components; builds nothing.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("configs", type=Path, nargs="+", metavar="config", help="a Jsonnet or JSON file")
    options.add_config_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints `ok` for each good config."""
    from bertx.config.packages import include_package
    from bertx.errors import ConfigError
    from bertx.runs.preparation import TrainingRequest, plan_request

    for name in args.include_package:
        include_package(name)
    problems = []
    for path in args.configs:
        try:
            plan_request(
                TrainingRequest(path, args.overrides, dict(args.ext_var), import_paths=args.import_path)
            )
            print(f"{path}: ok")
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
