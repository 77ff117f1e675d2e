"""Fine-tunes the shipped fixtures/bert-tiny on SST-2, against the same architecture from random weights.

What is measured: accuracy on SST-2's development set after the last epoch, for seeds 1 to 3, both through
bertx's `train` with configs/sst2.jsonnet, on the same rows (the first in the order of
random.Random(0).shuffle), with the same tokenizer, batches, epochs and learning rate. The random encoder is
described in the config by an object: the values of fixtures/bert-tiny/config.json. With several learning
rates each is compared with itself, and at the end the best mean of one with the best mean of the other.

Goals: pretraining is worth at least 3 points, and reaches at least 0.76.

    python -m tests.benchmarks.tiny_encoder --rows 8000 --epochs 3 --lr 1e-4 3e-4
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from bertx.bert.config import BertConfig
from tests.benchmarks.bertx_training import train_with_bertx
from tests.benchmarks.rows import shuffled_rows, write_rows
from tests.benchmarks.surroundings import REPOSITORY, data_folder, print_json, verdict

WANTED_GAIN_POINTS = 3.0
WANTED_ACCURACY = 0.76


@dataclass(frozen=True)
class Comparison:
    """Accuracies by seed at one learning rate."""

    lr: float
    pretrained: list[float]
    random_weights: list[float]

    @property
    def gain_points(self) -> float:
        return 100 * (mean(self.pretrained) - mean(self.random_weights))


def described(encoder: Path) -> dict[str, object]:
    """Returns the architecture of an encoder as a config describes a fresh one."""
    config = BertConfig.from_file(encoder / "config.json")
    return {item.name: getattr(config, item.name) for item in dataclasses.fields(config) if item.init}


def compare(encoder: Path, train_file: Path, folder: Path, args: argparse.Namespace, lr: float) -> Comparison:
    """Trains both with every seed, in turn, at one learning rate."""
    encoders = {"pretrained": str(encoder), "random": described(encoder)}
    accuracies: dict[str, list[float]] = {name: [] for name in encoders}
    for seed in args.seeds:
        for name, model in encoders.items():
            result = train_with_bertx(
                "sst2.jsonnet",
                folder / f"{name}_{lr}_{seed}",
                ext_vars={"DATA": str(data_folder()), "ENCODER": str(encoder)},
                overrides={
                    "train_data_path": str(train_file),
                    "model.bert_model": model,
                    "trainer.num_epochs": args.epochs,
                    "trainer.optimizer.lr": lr,
                    "random_seed": seed,
                },
            )
            accuracies[name].append(result.accuracy)
            print(
                f"lr {lr:g}  seed {seed}  {name:10}  accuracy {result.accuracy:.4f}  "
                f"{result.examples_per_second:8.1f} examples/s",
                flush=True,
            )
    return Comparison(lr, accuracies["pretrained"], accuracies["random"])


def summarise(comparisons: list[Comparison]) -> dict[str, object]:
    """Prints means, differences and verdicts; returns the figures."""
    for found in comparisons:
        print(
            f"lr {found.lr:g}: pretrained {mean(found.pretrained):.4f}, "
            f"random {mean(found.random_weights):.4f}, gain {found.gain_points:+.2f} points"
        )
    best = max(mean(found.pretrained) for found in comparisons)
    best_random = max(mean(found.random_weights) for found in comparisons)
    gain = 100 * (best - best_random)
    has_gain, has_accuracy = gain >= WANTED_GAIN_POINTS, best >= WANTED_ACCURACY
    print(f"best lr of each: {best:.4f} against {best_random:.4f}, gain {gain:+.2f} points")
    print(f"at least {WANTED_GAIN_POINTS} points better: {verdict(has_gain)}")
    print(f"at least {WANTED_ACCURACY}: {verdict(has_accuracy)}")
    return {
        "by_lr": [dataclasses.asdict(found) | {"gain_points": found.gain_points} for found in comparisons],
        "best_pretrained": best,
        "best_random": best_random,
        "gain_points": gain,
        "at_least_3_points_better": has_gain,
        "at_least_0.76": has_accuracy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", type=Path, default=REPOSITORY / "fixtures" / "bert-tiny")
    parser.add_argument("--rows", type=int, help="training rows (default: all 67,349)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--lr", type=float, nargs="+", default=[1e-4], help="one or more learning rates per step"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = parser.parse_args()
    encoder = args.encoder.resolve()
    if not (encoder / "config.json").is_file():
        raise SystemExit(f"{encoder}: no config.json; expected the folder of a pretrained BERT")
    with tempfile.TemporaryDirectory(prefix="bertx-benchmark-") as name:
        folder = Path(name)
        os.environ["BERTX_CACHE"] = str(folder / "cache")
        rows = shuffled_rows(data_folder() / "sst2" / "train.jsonl", args.rows)
        train_file = write_rows(rows, folder / "train.jsonl")
        print(
            f"sst2: {len(rows):,} training rows, {args.epochs} epochs, "
            f"lr {', '.join(f'{lr:g}' for lr in args.lr)}, seeds {args.seeds}, {encoder}"
        )
        figures = summarise([compare(encoder, train_file, folder, args, lr) for lr in args.lr])
    print_json("tiny_encoder", vars(args) | {"rows": len(rows), "encoder": encoder}, figures)


if __name__ == "__main__":
    main()
