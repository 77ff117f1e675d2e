"""`bertx predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
examples:
  bertx predict runs/quickstart input.jsonl
  echo '{"text": "a gripping film"}' | bertx predict runs/quickstart -
  bertx predict runs/quickstart big.jsonl.gz --precision int8 --output-file out.jsonl
  bertx predict runs/quickstart big.jsonl.gz --output-file out.jsonl --on-error quarantine --resume
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "predict",
        help="predict for JSON lines, in order",
        description='Reads JSON lines such as {"text": ...}; writes one line for each: label, probs, logits.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_path", type=Path, metavar="run", help="a run folder or a model.tar.gz")
    parser.add_argument("input", help="a JSONL file, or - for standard input")
    parser.add_argument("--output-file", type=Path, metavar="FILE", help="write here, not to standard output")
    parser.add_argument(
        "--resume", action="store_true", help="go on where an interrupted prediction to the same file stopped"
    )
    parser.add_argument(
        "--on-error",
        choices=("fail", "skip", "quarantine"),
        default="fail",
        help="what a bad line does: end the prediction (default), be left out, or go to FILE.quarantine",
    )
    parser.add_argument(
        "--keep-fields", action="store_true", help="repeat all fields of the input in the output"
    )
    parser.add_argument(
        "--use-dataset-reader",
        action="store_true",
        help="the input is a file as the run's dataset reader reads it",
    )
    parser.add_argument(
        "--shard", type=_shard, metavar="I/N", help="predict only the I-th of N equal parts of the input"
    )
    parser.add_argument("--silent", action="store_true", help="print no predictions to standard output")
    _add_speed_options(parser)
    options.add_run_options(parser)
    parser.set_defaults(run=run)


def _add_speed_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch-size",
        type=options.positive,
        metavar="N",
        help="records per batch (default: as many as make 2,048 tokens)",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "int8"),
        default="auto",
        help="the arithmetic: as the run was trained (auto, default), or another; int8, on a CPU, tells how "
        "many labels it changes, and hardly pays where the processor has AMX, for long texts least",
    )
    parser.add_argument(
        "--workers",
        type=options.positive,
        default=1,
        metavar="N",
        help="processes that compute, each with an N-th of the threads (default: 1)",
    )


def _shard(text: str) -> tuple[int, int]:
    number, slash, parts = text.partition("/")
    if not slash or not number.isdigit() or not parts.isdigit() or not 1 <= int(number) <= int(parts):
        raise argparse.ArgumentTypeError(f"{text}: expected I/N with I from 1 to N, such as 1/4")
    return int(number), int(parts)


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    import gc

    from bertx.huge_pages import keep_memory
    from bertx.runs.prediction.predict import PredictionRequest, predict
    from bertx.runs.prediction.workers import Opening

    options.start_logging(args)
    keep_memory()
    opening = Opening(args.run_path, args.device, args.overrides, args.include_package)
    request = PredictionRequest(
        source=None if args.input == "-" else Path(args.input),
        output=args.output_file,
        on_error=args.on_error,
        keep_fields=args.keep_fields,
        use_dataset_reader=args.use_dataset_reader,
        batch_size=args.batch_size,
        shard=args.shard,
        resume=args.resume,
        silent=args.silent,
        precision=args.precision,
        workers=args.workers,
    )
    run = opening.open()
    gc.freeze()  # else every collection walks over torch's modules: a fifth of the time of a tiny model
    predict(run, request, opening)
