"""Options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertx.runs.preparation import TrainingRequest


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds what changes how a config is read."""
    parser.add_argument(
        "-o",
        "--overrides",
        action="append",
        default=[],
        metavar="EDIT",
        help="edit the config: key.path=value, ~key.path deletes, list items by index, or a JSON/Jsonnet "
        "object whose dotted keys edit leaves; repeatable",
    )
    add_package_option(parser)
    parser.add_argument(
        "--ext-var",
        action="append",
        default=[],
        type=name_and_value,
        metavar="NAME=VALUE",
        help='what std.extVar("NAME") gives in the config; repeatable',
    )
    add_import_path_option(parser)


def add_import_path_option(parser: argparse.ArgumentParser) -> None:
    """Adds where Jsonnet files may be imported from."""
    parser.add_argument(
        "-J",
        "--import-path",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a folder that the config may import from, beside its own folder; repeatable",
    )


def add_package_option(parser: argparse.ArgumentParser) -> None:
    """Adds what imports the user's own components."""
    parser.add_argument(
        "--include-package",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module or a .py file that registers components of your own; repeatable",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Adds where to compute."""
    parser.add_argument(
        "--device", help="where to compute, such as cpu or cuda:0; by default a GPU if there is one"
    )


def add_log_option(parser: argparse.ArgumentParser) -> None:
    """Adds how progress is shown."""
    parser.add_argument(
        "--file-friendly-logging",
        action="store_true",
        help="show progress as a line every 30 seconds, also on a terminal",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds what changes how a run is opened and used."""
    add_edit_options(parser)
    add_device_option(parser)
    add_log_option(parser)


def add_edit_options(parser: argparse.ArgumentParser) -> None:
    """Adds what changes how a run's config is read."""
    parser.add_argument(
        "-o",
        "--overrides",
        action="append",
        default=[],
        metavar="EDIT",
        help="edit the run's config, such as dataset_reader.text_key=review; repeatable",
    )
    add_package_option(parser)


def positive(text: str) -> int:
    """Reads a number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number above 0")
    return number


def name_and_value(text: str) -> tuple[str, str]:
    """Reads NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text}: expected NAME=VALUE")
    return name, value


def start_logging(args: argparse.Namespace) -> None:
    """Shows messages on stderr, and progress as asked."""
    from bertx.log import log_to_stderr
    from bertx.progress import Progress

    log_to_stderr()
    Progress.lines_only = getattr(args, "file_friendly_logging", False)


def training_request(args: argparse.Namespace) -> TrainingRequest:
    """Returns what the user asks for, of a command that has all options of a training."""
    from bertx.runs.preparation import TrainingRequest

    return TrainingRequest(
        args.config,
        args.overrides,
        dict(args.ext_var),
        args.include_package,
        args.limit,
        args.device,
        args.import_path,
    )
