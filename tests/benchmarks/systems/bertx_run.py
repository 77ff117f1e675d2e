"""Classifiers to predict with, fine-tuned by bertx."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.surroundings import REPOSITORY

CONFIGS = REPOSITORY / "configs"


def train_for_all(
    train_file: str, dev_file: str, encoder: str, max_pieces: int, target: str
) -> dict[str, float]:
    """Trains an epoch of SST-2, and writes the folders `run`, for bertx, and `hf`, for `transformers`."""
    from bertx.api import train
    from bertx.exports.export import ExportRequest, export
    from bertx.runs.run import load

    folder = Path(target)
    metrics = train(
        CONFIGS / "sst2.jsonnet",
        folder / "run",
        ext_vars={"DATA": "", "ENCODER": encoder},
        overrides={
            "train_data_path": train_file,
            "validation_data_path": dev_file,
            "dataset_reader.token_indexers.bert.max_pieces": max_pieces,
            "trainer.num_epochs": 1,
        },
    )
    # A run trained in bf16 is compared in bf16, so more than rounding in fp32 is allowed.
    export(load(folder / "run", device="cpu"), ExportRequest(folder / "hf", "hf", tolerance=0.1))
    return {"accuracy": 100 * float(metrics["validation_accuracy"])}


def train_tiny(target: str) -> dict[str, float]:
    """Trains an epoch of the quickstart, with the tiny encoder of the repository."""
    from bertx.api import train

    overrides = {"trainer.num_epochs": 1, "evaluate_on_test": False, "bag_of_words_baseline": False}
    train(CONFIGS / "quickstart.jsonnet", target, overrides=overrides)
    return {}
