"""`bertx export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
examples:
  bertx export runs/quickstart exported --to onnx
  bertx export runs/quickstart/model.tar.gz exported --to hf --data reviews.jsonl
  bertx export runs/quickstart exported --to onnx --int8

The export is there only if it computes what the run computes: the largest difference of two logits and the
share of equal labels are taken over rows of several lengths (256 or more) and printed as JSON.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "export",
        help="write a classifier as ONNX, for Hugging Face, KerasHub or torch.export",
        description="Writes a run's classifier as a folder that needs no bertx; compares it with the run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_path", type=Path, metavar="run", help="a run folder or a model.tar.gz")
    parser.add_argument("target", type=Path, metavar="folder", help="the folder to write; it must not exist")
    parser.add_argument(
        "--to",
        required=True,
        choices=("onnx", "hf", "keras", "torch_export"),
        help="an ONNX file, a folder for transformers, a preset for KerasHub, or a program of torch.export",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="rows to compare on, as the run's dataset reader reads them (default: the run's validation and "
        "test data)",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="for onnx: write a model in 8 bits too, and report how the accuracy changes",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="X",
        help="the largest difference of logits to accept (default: 1e-4; for hf 0, with LoRA 1e-5)",
    )
    options.add_edit_options(parser)
    options.add_log_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints what was compared as JSON."""
    import json

    from bertx.exports.export import ExportRequest, check, export
    from bertx.runs.run import load

    options.start_logging(args)
    request = ExportRequest(args.target, args.to, args.data, args.int8, args.tolerance)
    check(request)
    packages = args.include_package
    loaded = load(args.run_path, device="cpu", overrides=args.overrides, include_packages=packages)
    print(json.dumps(export(loaded, request), indent=2, ensure_ascii=False))
