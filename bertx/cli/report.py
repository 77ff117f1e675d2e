"""`bertx report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
examples:
  bertx report runs/quickstart
  bertx report runs/quickstart --data fixtures/reviews/dev.jsonl --output-file dev.html
  bertx report studies/freezing

The page is one file that needs neither a network nor scripts. Of a study its tables are written anew, too.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "report",
        help="write a page about a run or a study",
        description="Writes a page about a run: curves, classes, errors. Or about a study: its comparison.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a run folder, a model.tar.gz, or the folder of a study")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="evaluate a run on this file (default: what it was tested on, or else validated on)",
    )
    parser.add_argument(
        "--output-file",
        type=Path,
        metavar="FILE",
        help="the page to write (default: report.html in the folder, or beside the archive)",
    )
    options.add_package_option(parser)
    options.add_device_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints where the page is."""
    from bertx.ablation.results.tables import write_tables
    from bertx.atomic import require_replaceable
    from bertx.errors import UsageError
    from bertx.report.evaluated import evaluated_run
    from bertx.report.run_page import write_run_page
    from bertx.report.study.page import PAGE, is_study, write_study_page

    options.start_logging(args)
    if is_study(args.folder):
        if args.data is not None:
            raise UsageError("--data: a study is shown on the data its runs were evaluated on; leave it out")
        page = args.output_file or args.folder / PAGE
        require_replaceable(page)
        print(write_study_page(write_tables(args.folder), page))
        return
    page = args.output_file or (args.folder if args.folder.is_dir() else args.folder.parent) / PAGE
    require_replaceable(page)
    found = evaluated_run(args.folder, args.data, device=args.device, include_packages=args.include_package)
    print(write_run_page(found, page))
