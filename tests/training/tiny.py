"""A tiny training: a file of texts, read, indexed and cut by the real thing, and a random BERT."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bertx.bert.config import BertConfig
from bertx.config.construct import plan
from bertx.data.batch import Batch
from bertx.data.cache import encode_file
from bertx.data.dataset_readers.text_classification_json import TextClassificationJsonReader
from bertx.data.instance import JSON
from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer
from bertx.data.vocabulary import Vocabulary
from bertx.models.bert_for_classification import BertForClassification
from bertx.models.model import Model
from bertx.runs.planning import register_components
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext
from bertx.training.gradient_descent import GradientDescentTrainer
from bertx.training.trainer import Trainer
from bertx.world import World

register_components()

ALONE = World()
WORDS = ["good", "fine", "bad", "poor", "film", "book", "very", "not", "and", "plot"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
LABELS = ("neg", "pos")

Record = dict[str, JSON]


def records(count: int, *, flipped: bool = False) -> list[Record]:
    """Texts of 1 to 5 words, whose first word tells the label (or, flipped, the other one)."""
    made: list[Record] = []
    for number in range(count):
        rest = [WORDS[4 + (number // 4 + 2 * place) % 6] for place in range(number % 5)]
        label = LABELS[(number % 4 < 2) != flipped]
        made.append({"id": f"r{number}", "text": " ".join([WORDS[number % 4], *rest]), "label": label})
    return made


def make_split(
    folder: Path, records: Sequence[Record], *, batch_size: int = 4, name: str = "train.jsonl", seed: int = 1
) -> Split:
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    file = folder / name
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    reader = TextClassificationJsonReader({"bert": BertPretrainedIndexer(str(folder / "vocab.txt"))})
    dataset = encode_file(reader, file, settings_hash=None, cache_folder=None)
    return Split(name, dataset, SimpleDataLoader(batch_size), vocabulary(), seed)


def vocabulary() -> Vocabulary:
    return Vocabulary.from_instances({"labels": dict.fromkeys(LABELS, 1)})


def make_config(dropout: float = 0.0) -> BertConfig:
    return BertConfig(
        vocab_size=len(PIECES),
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=24,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=16,
        initializer_range=0.3,
    )


def make_model(seed: int = 0, dropout: float = 0.0) -> BertForClassification:
    torch.manual_seed(seed)
    return BertForClassification(vocabulary(), make_config(dropout))


def make_undecided() -> BertForClassification:
    """A model without an opinion, so that from the first step on training makes contrary data worse."""
    model = make_model()
    nn.init.zeros_(model.classifier.weight)
    return model


def batch_of(split: Split, rows: Sequence[int]) -> Batch:
    return split.loader.batch(
        split.dataset, np.array(rows), split.vocabulary, seed=1, epoch=0, number=0, training=True
    )


def make_trainer(
    model: Model,
    train: Split,
    settings: Mapping[str, JSON],
    *,
    validation: Split | None = None,
    folder: Path | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    world: World = ALONE,
    strategy: str = "ddp",
) -> GradientDescentTrainer:
    """Builds a trainer from a config, with callbacks that no config can name."""
    config = {"optimizer": {"type": "adam", "lr": 0.01}, "num_epochs": 1, **settings}
    made = plan(Trainer, config).build(
        model=model, train=train, validation=validation, folder=folder, world=world, strategy=strategy
    )
    assert isinstance(made, GradientDescentTrainer)
    made.loop.callbacks[:0] = callbacks
    return made


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@dataclass
class Recorder(TrainerCallback):
    """Notes what it is told."""

    name: str = ""
    told: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    epochs: list[dict[str, JSON]] = field(default_factory=list)
    weights: list[dict[str, Tensor]] = field(default_factory=list)

    def on_start(self, context: TrainingContext) -> None:
        self.told.append(f"{self.name}start")

    def on_step(self, context: TrainingContext, step: Step) -> None:
        self.told.append(f"{self.name}step {step.step}")
        self.steps.append(step)

    def on_epoch(self, context: TrainingContext, metrics: Mapping[str, JSON]) -> None:
        self.told.append(f"{self.name}epoch {metrics['epoch']}")
        self.epochs.append(dict(metrics))
        self.weights.append(weights(context.model))

    def on_end(self, context: TrainingContext) -> None:
        self.told.append(f"{self.name}end")
