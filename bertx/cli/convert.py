"""`bertx convert`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bertx.cli import options

EPILOG = """\
examples:
  bertx convert uncased_L-12_H-768_A-12 bert-base --to hf
  bertx convert google-bert/bert-base-uncased preset --to keras
  bertx convert classifier.keras classifier --to hf
  bertx convert bert_tiny_en_uncased_sst2 tiny --to hf

What is read: folders of Hugging Face (safetensors, PyTorch, shards, .tar.gz), presets of KerasHub and .keras
files, TensorFlow checkpoints of Google; by path, hub name, preset name, hf:// or kaggle://.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "convert",
        help="rewrite a checkpoint in the format of Hugging Face or KerasHub",
        description="Reads a checkpoint of BERT in any known format, and writes it in another.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help="a folder or file, or a name: see below")
    parser.add_argument("target", type=Path, help="the folder to write, or for keras a new .keras file")
    parser.add_argument(
        "--to",
        required=True,
        choices=("hf", "keras"),
        help="a folder that transformers loads, or a preset that KerasHub loads",
    )
    options.add_log_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command; prints what was read and written."""
    from bertx.atomic import new_folder, require_no_folder
    from bertx.bert.checkpoints.conversion import read_checkpoint, write_checkpoint
    from bertx.bert.encoders import Encoders

    options.start_logging(args)
    require_no_folder(args.target)
    checkpoint = read_checkpoint(Encoders().folder(args.source))
    print(f"{args.source}: {checkpoint.model.architecture}, {checkpoint.report.summary()}")
    if args.to == "keras" and args.target.suffix == ".keras":
        write_checkpoint(checkpoint, args.target, args.to)
    else:
        with new_folder(args.target) as folder:
            write_checkpoint(checkpoint, folder, args.to)
    print(f"{args.target}: written")
