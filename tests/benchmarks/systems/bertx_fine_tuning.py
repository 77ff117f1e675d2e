"""Fine-tuning with bertx."""

from __future__ import annotations

import json
from pathlib import Path

from tests.benchmarks.bertx_training import train_with_bertx


def fine_tune(
    *,
    task: str,
    train_file: str,
    dev_file: str,
    encoder: str,
    is_compiled: bool | None = None,
    folder: str,
    seed: int,
) -> dict[str, float]:
    """Trains an epoch by the shipped config of a task, as it is, precision included."""
    run = Path(folder) / "run"
    trained = train_with_bertx(
        f"{task}.jsonnet",
        run,
        ext_vars={"DATA": "", "ENCODER": encoder},
        overrides={
            "train_data_path": train_file,
            "validation_data_path": dev_file,
            "trainer.num_epochs": 1,
            "trainer.compile": is_compiled,
            "random_seed": seed,
        },
    )
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    return {
        "examples_per_second": trained.examples_per_second,
        "accuracy": 100 * trained.accuracy,
        "seconds": trained.seconds,
        "is_bf16": float(environment["precision"] == "bf16"),
    }
