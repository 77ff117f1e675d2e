"""The command line: one file per command beside this one.

Only the chosen command imports more than the standard library, so that `bertx --help` answers at once.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import gc
import importlib
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

import bertx.cli
from bertx.errors import BertxError, DataError

INTERRUPTED = 130  # 128 + SIGINT
CLOSED_PIPE = 141  # 128 + SIGPIPE: the reader of the output, such as `head`, has seen enough
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

EPILOG = """\
examples:
  bertx train configs/quickstart.jsonnet -s runs/quickstart
  bertx evaluate runs/quickstart fixtures/reviews/test.jsonl
  bertx predict runs/quickstart input.jsonl

exit status: 0 good, 1 a bug, 2 config or usage, 3 runs of a study failed, 4 data or file,
5 the numbers failed, 75 stopped by SIGTERM with a checkpoint to go on from, 130 interrupted
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
        parser.print_help(sys.stderr)
        sys.exit(2)
    if os.environ.get("WORLD_SIZE", "1") not in ("", "0", "1"):  # as torchrun and the launcher set it
        _end_with_others(args)
    atexit.register(gc.freeze)  # else Python walks over all that torch is made of before it ends: 0.2 s
    sys.exit(run_command(args))


def _end_with_others(args: argparse.Namespace) -> None:
    """Runs a command as one of several processes, and ends this one with the command's status for certain."""
    try:
        status = run_command(args)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    from bertx.world import end_process

    end_process(status)


def run_command(args: argparse.Namespace) -> int:
    """Runs the chosen command; returns the exit status."""
    try:
        with _ending_on_sigterm():
            args.run(args)
            sys.stdout.flush()
    except BertxError as error:
        print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt as error:
        print("\n".join(["interrupted", *getattr(error, "__notes__", [])]), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _close_stdout()
        return CLOSED_PIPE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            print(f"{error.filename or 'an output'}: cannot be written: {error.strerror}", file=sys.stderr)
            _close_stdout()
            return DataError.exit_status
        if os.environ.get("BERTX_DEBUG"):
            raise
        return _report_bug(error)
    return 0


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the program as an exception does: files closed, temporary ones removed."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _close_stdout() -> None:
    """Sends what is still buffered nowhere, so that Python does not complain when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
