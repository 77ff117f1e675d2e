"""Fine-tunes one encoder on the same rows in fp32, bf16, fp16 and whatever `auto` measures to be best.

What is compared: accuracy on the whole development set of SST-2, and examples per second of the training
steps (without set-up, validation and saving), for seeds 1 to 3. All precisions take the same 8,000 rows, the
shipped config and its settings, in turn; which comes first changes from seed to seed.

Goal: no precision's mean accuracy is more than 0.5 points below that of fp32.

    python -m tests.benchmarks.precision
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, median

from tests.benchmarks.bertx_training import Trained, train_with_bertx
from tests.benchmarks.rows import shuffled_rows, write_rows
from tests.benchmarks.surroundings import data_folder, encoder_folder, print_json, verdict

ALLOWED_POINTS = 0.5
PRECISIONS = ("fp32", "bf16", "auto", "fp16")


def run_all(
    train_file: Path, encoder: Path, folder: Path, precisions: Sequence[str], seeds: Sequence[int]
) -> dict[str, list[Trained]]:
    """Trains in every precision with every seed."""
    results: dict[str, list[Trained]] = {name: [] for name in precisions}
    for turn, seed in enumerate(seeds):
        for name in [*precisions[turn:], *precisions[:turn]]:
            result = train_with_bertx(
                "sst2.jsonnet",
                folder / f"{name}_{seed}",
                ext_vars={"DATA": str(data_folder()), "ENCODER": str(encoder)},
                overrides={
                    "train_data_path": str(train_file),
                    "trainer.num_epochs": 1,
                    "trainer.precision": name,
                    "random_seed": seed,
                },
            )
            results[name].append(result)
            speed = f"{result.examples_per_second:8.1f} examples/s"
            print(f"seed {seed}  {name:5}  accuracy {result.accuracy:.4f}  {speed}", flush=True)
    return results


def summarise(results: dict[str, list[Trained]]) -> dict[str, object]:
    """Prints means and differences to fp32; returns the figures."""
    figures: dict[str, object] = {name: [asdict(run) for run in runs] for name, runs in results.items()}
    accuracies = {name: mean(run.accuracy for run in runs) for name, runs in results.items()}
    speeds = {name: median(run.examples_per_second for run in runs) for name, runs in results.items()}
    first = next(iter(results))
    for name in results:
        points, ratio = 100 * (accuracies[name] - accuracies[first]), speeds[name] / speeds[first]
        print(
            f"{name:5}  mean accuracy {accuracies[name]:.4f} ({points:+.2f} points)  "
            f"median {speeds[name]:.1f} examples/s ({ratio:.2f} times)"
        )
        figures[f"{name}_points"], figures[f"{name}_ratio"] = points, ratio
    holds = all(value >= accuracies[first] - ALLOWED_POINTS / 100 for value in accuracies.values())
    print(f"not more than {ALLOWED_POINTS} points below {first}: {verdict(holds)}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", type=Path, help="folder of a pretrained BERT (default: MiniLM)")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rows", type=int, default=8_000, help="training rows")
    args = parser.parse_args()
    encoder = encoder_folder(args.encoder)
    with tempfile.TemporaryDirectory(prefix="bertx-benchmark-") as name:
        folder = Path(name)
        os.environ["BERTX_CACHE"] = str(folder / "cache")
        rows = shuffled_rows(data_folder() / "sst2" / "train.jsonl", args.rows)
        train_file = write_rows(rows, folder / "train.jsonl")
        figures = summarise(run_all(train_file, encoder, folder, args.precisions, args.seeds))
    print_json("precision", vars(args) | {"encoder": encoder}, figures)


if __name__ == "__main__":
    main()
