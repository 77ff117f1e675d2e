"""The command line: one file per command beside this one.

Only the chosen command imports more than the standard library, so that `bertx --help` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import pkgutil
import signal
import sys
from collections.abc import Sequence

import bertx.cli
from bertx.errors import BertxError

logger = logging.getLogger("bertx")

EPILOG = """\
examples:
  bertx train configs/quickstart.jsonnet -s runs/quickstart
  bertx evaluate runs/quickstart fixtures/reviews/test.jsonl
  bertx predict runs/quickstart input.jsonl

exit status: 0 good, 1 a bug, 2 config or usage, 4 data or file, 5 the numbers failed, 130 interrupted
"""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and examples as they are written."""


def make_parser() -> argparse.ArgumentParser:
    """Makes the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="bertx",
        description="Train, evaluate and use BERT models that Jsonnet configs describe.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="command")
    for module in pkgutil.iter_modules(bertx.cli.__path__):
        if module.name not in ("main", "options"):
            importlib.import_module(f"bertx.cli.{module.name}").add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its status."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    if args.version:
        from importlib.metadata import version

        print(version("bertx"))
        return
    if args.command is None:
        parser.print_help()
        sys.exit(2)
    sys.exit(run_command(args))


def run_command(args: argparse.Namespace) -> int:
    """Runs the chosen command; returns the exit status."""
    # A reader that closes the pipe (`| head`) ends the command quietly.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        args.run(args)
    except BertxError as error:
        print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if os.environ.get("BERTX_DEBUG"):
            raise
        return _report_bug(error)
    return 0


def _report_bug(error: Exception) -> int:
    """Saves the traceback of a bug and says where."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="bertx-bug-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
    print(
        f"bertx: a bug: {type(error).__name__}: {error}\n"
        f"the traceback is in {file.name}; please report it (BERTX_DEBUG=1 shows it here)",
        file=sys.stderr,
    )
    return 1
