"""A tiny experiment: a random encoder of two layers on the reviews of the repository, trained in a second."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.commands import Result, bertx

FIXTURES = Path(__file__).parent.parent / "fixtures"
REVIEWS = FIXTURES / "reviews"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")

CONFIG = {
    "dataset_reader": {
        "type": "text_classification_json",
        "token_indexers": {
            "bert": {"type": "bert-pretrained", "pretrained_model": "encoder", "max_pieces": 64}
        },
    },
    "train_data_path": "data/train.jsonl",
    "validation_data_path": "data/dev.jsonl",
    "test_data_path": "data/test.jsonl",
    "evaluate_on_test": True,
    "model": {
        "type": "bert_for_classification",
        "bert_model": {
            "vocab_size": 8192,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 64,
            "hidden_dropout_prob": 0.0,
            "initializer_range": 0.1,
        },
    },
    "data_loader": {"batch_sampler": {"type": "bucket", "batch_size": 16}},
    "trainer": {
        "num_epochs": 2,
        "optimizer": {"type": "adamw", "lr": 3e-3},
        "validation_metric": "+accuracy",
    },
    "random_seed": 1,
}


@dataclass(frozen=True)
class Trained:
    """A finished training, whose encoder and data are gone.

    Attributes:
        run: The run folder.
        archive: Its model.tar.gz, moved elsewhere.
        train: What the command left.
    """

    run: Path
    archive: Path
    train: Result


def config(**changes: object) -> dict:
    """Returns the config with leaves changed, `trainer__num_epochs=1`; `...` deletes."""
    made = copy.deepcopy(CONFIG)
    for path, value in changes.items():
        *above, last = path.split("__")
        parent = made
        for key in above:
            parent = parent[key]
        if value is ...:
            del parent[last]
        else:
            parent[last] = value
    return made


def workplace(folder: Path, made: dict | None = None) -> Path:
    """Puts config, data and tokenizer into a folder; returns the config file."""
    (folder / "data").mkdir(parents=True)
    (folder / "encoder").mkdir()
    for name in ("train.jsonl", "dev.jsonl", "test.jsonl"):
        shutil.copy(REVIEWS / name, folder / "data" / name)
    for name in TOKENIZER_FILES:
        shutil.copy(FIXTURES / "bert-tiny" / name, folder / "encoder" / name)
    path = folder / "tiny.jsonnet"
    path.write_text(json.dumps(made or CONFIG, indent=2), encoding="utf-8")
    return path


def train_once(folder: Path, made: dict | None = None) -> Trained:
    """Trains, moves the archive away and deletes all that the training was made from."""
    path = workplace(folder / "workplace", made)
    result = bertx("train", path, "-s", folder / "run")
    (folder / "elsewhere").mkdir()
    archive = folder / "elsewhere" / "model.tar.gz"
    shutil.copy(folder / "run" / "model.tar.gz", archive)
    shutil.rmtree(folder / "workplace")
    return Trained(folder / "run", archive, result)


def write_lines(path: Path, *records: object) -> Path:
    """Writes JSONL; a string is a line as it is."""
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
