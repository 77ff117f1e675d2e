"""`bertx evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
examples:
  bertx evaluate runs/quickstart fixtures/reviews/test.jsonl
  bertx evaluate runs/quickstart/model.tar.gz a.jsonl b.jsonl --predictions-output-file predictions.jsonl
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compute loss and metrics over data files",
        description="Evaluates a run on data files; of several, on each and on all instances together.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_path", type=Path, metavar="run", help="a run folder or a model.tar.gz")
    parser.add_argument(
        "data", type=Path, nargs="+", help="labelled data, as the run's dataset reader reads it"
    )
    parser.add_argument("--output-file", type=Path, metavar="FILE", help="write the metrics here too")
    parser.add_argument(
        "--predictions-output-file",
        type=Path,
        metavar="FILE",
        help="write a line for each instance: id, gold, prediction, probs, logits, loss",
    )
    parser.add_argument(
        "--batch-size", type=options.positive, metavar="N", help="instances per batch (default: the config's)"
    )
    parser.add_argument(
        "--unseen-labels",
        choices=("wrong", "error"),
        default="wrong",
        help="what a label does that training has not seen: count as wrong (default), or end the evaluation",
    )
    options.add_run_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints the metrics as JSON."""
    from bertx.atomic import require_replaceable, write_text
    from bertx.runs.evaluate import EvaluationRequest, as_text, evaluate_files
    from bertx.runs.run import load

    options.start_logging(args)
    if args.output_file is not None:
        require_replaceable(args.output_file)
    loaded = load(
        args.run_path, device=args.device, overrides=args.overrides, include_packages=args.include_package
    )
    request = EvaluationRequest(
        args.data, args.predictions_output_file, args.batch_size, args.unseen_labels == "error"
    )
    text = as_text(evaluate_files(loaded, request))
    print(text)
    if args.output_file is not None:
        write_text(args.output_file, text + "\n")
