"""`bertx presets`."""

from __future__ import annotations

import argparse

EPILOG = """\
A name of this list, or of the hub, can stand wherever a config or a command wants an encoder; so can hf://NAME,
a kaggle:// name and a folder.

examples:
  bertx presets
  bertx presets --json
  bertx convert bert_tiny_en_uncased tiny --to hf
"""
HEADER = ("preset", "parameters", "layers", "hidden", "heads", "vocabulary", "case", "on the hub", "twin")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "presets",
        help="list the pretrained encoders that have names of their own",
        description="Lists KerasHub's presets of BERT: sizes, and where each is on the Hugging Face hub, as\n"
        "KerasHub's own format and, as its twin, in that of transformers.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per preset")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    import json

    from bertx.bert.presets import PRESETS, Preset

    def as_json(preset: Preset) -> str:
        return json.dumps(
            {
                "name": preset.name,
                "num_parameters": preset.num_parameters,
                "num_hidden_layers": preset.config.num_hidden_layers,
                "hidden_size": preset.config.hidden_size,
                "num_attention_heads": preset.config.num_attention_heads,
                "intermediate_size": preset.config.intermediate_size,
                "vocab_size": preset.config.vocab_size,
                "do_lower_case": preset.is_lower_case,
                "hub_name": preset.hub_name,
                "kaggle_handle": preset.kaggle_handle,
                "twin": preset.twin,
                "description": preset.description,
            }
        )

    if args.json:
        print("\n".join(as_json(preset) for preset in PRESETS.values()))
        return
    rows: list[tuple[str, ...]] = [HEADER]
    for preset in PRESETS.values():
        config = preset.config
        sizes = (config.num_hidden_layers, config.hidden_size, config.num_attention_heads)
        case = "ignored" if preset.is_lower_case else "kept"
        counts = (f"{preset.num_parameters:,}", *map(str, sizes), f"{config.vocab_size:,}")
        rows.append((preset.name, *counts, case, preset.hub_name, preset.twin or "-"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if 0 < place < 6 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
