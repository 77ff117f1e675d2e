"""A tiny experiment for runs that are interrupted: 40 steps in a third of a second, many checkpoints."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.training.tiny import PIECES, records

CONFIG = {
    "dataset_reader": {
        "type": "text_classification_json",
        "token_indexers": {"bert": {"type": "bert-pretrained", "pretrained_model": "vocab.txt"}},
    },
    "train_data_path": "train.jsonl",
    "validation_data_path": "dev.jsonl",
    "model": {
        "type": "bert_for_classification",
        "dropout": 0.1,
        "bert_model": {
            "vocab_size": len(PIECES),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 16,
        },
    },
    "data_loader": {"batch_size": 4, "num_workers": 1},
    "trainer": {
        "num_epochs": 4,  # of 10 steps
        "optimizer": {"type": "adamw", "lr": 0.003},
        "learning_rate_scheduler": {"type": "linear_with_warmup", "warmup_steps": 5},
        "moving_average": {"type": "exponential", "decay": 0.9},
        "validate_every": 4,
        "validation_metric": "+accuracy",
        "checkpointer": {"save_every": 3},
        "callbacks": [{"type": "metrics_log", "every": 1}],
    },
    "random_seed": 1,
}
TIMES = ("time", "training_duration")


def workplace(place: Path) -> Path:
    """Writes data, vocabulary and config; returns the config file."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    for name, count in (("train.jsonl", 40), ("dev.jsonl", 12)):
        lines = [json.dumps(record) + "\n" for record in records(count)]
        (place / name).write_text("".join(lines), encoding="utf-8")
    (place / "tiny.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return place / "tiny.json"


def digests(run: Path) -> dict[str, str]:
    """Describes every file of a run: what must be equal, whenever it was trained, by its digest."""
    found = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.is_dir():
            found[name] = "folder"
        elif path.suffix == ".safetensors":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name.startswith("metrics"):
            lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
            kept = [
                {key: value for key, value in json.loads(line).items() if key not in TIMES} for line in lines
            ]
            found[name] = hashlib.sha256(json.dumps(kept).encode()).hexdigest()
        else:
            found[name] = "file"
    return found
