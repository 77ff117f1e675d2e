"""A small framework of families, as rich as the real one, for the tests of bertx.config."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from bertx.config.kinds import JSON
from bertx.config.registrable import Configurable, Lazy, Registrable, Runtime, Slot
from bertx.errors import ConfigError


class Words:
    """What the program supplies."""


class ForeignModule:
    """Stands for `nn.Module`: takes anything, which a config cannot."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


class Precision(enum.Enum):
    FULL = "float32"
    HALF = "bfloat16"


class Reader(Registrable):
    """Reads examples."""


@Reader.register("lines")
class LineReader(Reader):
    """Reads one example per line.

    Args:
        encoding: Name of the character encoding.
        fields: Which fields to keep;
            None keeps all.
    """

    def __init__(self, encoding: str = "utf-8", fields: Sequence[str] | None = None) -> None:
        self.encoding, self.fields = encoding, fields


@Reader.register("multi")
class MultiReader(Reader):
    def __init__(self, readers: dict[str, Reader]) -> None:
        self.readers = readers


@dataclass
class EncoderSizes(Configurable):
    hidden_size: int = 768
    num_hidden_layers: int = 12
    extra: dict[str, JSON] = field(default_factory=dict)


class Net(ForeignModule, Registrable):
    """Networks."""


@Net.register("classifier")
class Classifier(Net):
    """Classifies.

    Args:
        encoder: Name, folder, or sizes of a fresh encoder.
        dropout: Probability of dropping a unit.
    """

    def __init__(
        self,
        vocab: Runtime[Words],
        encoder: str | EncoderSizes,
        dropout: float = 0.1,
        pooling: Literal["first", "mean"] = "first",
        widths: tuple[int, ...] = (),
        copy: bool = False,
    ) -> None:
        super().__init__()
        if dropout >= 1:
            raise ConfigError(f"dropout is {dropout}; expected less than 1")
        self.vocab, self.encoder, self.dropout, self.pooling = vocab, encoder, dropout, pooling
        self.widths, self.copy = widths, copy


@Net.register("empty")
class EmptyNet(Net):
    """Has nothing to set."""


@Net.register("stack")
class Stack(Net):
    def __init__(self, parts: list[Net]) -> None:
        super().__init__()
        self.parts = parts


class Solver(Slot[dict[str, object]]):
    """Makes optimizers, here plain dicts."""

    default_implementation: ClassVar[str | None] = "adamw"


@Solver.register("adamw")
def adamw(
    params: Runtime[list[int]],
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
    parameter_groups: list[tuple[list[str], dict[str, JSON]]] | None = None,
) -> dict[str, object]:
    """Adam with decoupled weight decay.

    Args:
        lr: Step size.
    """
    return {"params": params, "lr": lr, "groups": parameter_groups}


@Solver.register("sgd")
def sgd(params: Runtime[list[int]], lr: float, momentum: float = 0.0) -> dict[str, object]:
    """Gradient descent."""
    return {"params": params, "lr": lr, "momentum": momentum}


class Hook(Registrable, ABC):
    """Runs during training."""

    @abstractmethod
    def run(self) -> None:
        """Runs."""


@Hook.register("log")
class LogHook(Hook):
    def __init__(self, every: int, folder: Path | None = None, steps: int | None = 7) -> None:
        self.every, self.folder = every, folder

    def run(self) -> None: ...


class Store(Registrable):
    """Built by a classmethod."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    @classmethod
    def from_text(cls, text: str, separator: str = " ") -> Store:
        return cls(text.split(separator))


Store.register("from_text")(Store.from_text)


class Training(Configurable):
    """Trains.

    Args:
        num_epochs: How often to see the data.
    """

    def __init__(
        self,
        optimizer: Lazy[Solver],
        num_epochs: int = 3,
        patience: int | None = None,
        warmup_steps: int | float = 0,
        validation_metric: str | list[str] = "-loss",
        precision: Precision = Precision.FULL,
        hooks: list[Hook] | None = None,
        cuda_devices: list[int] | None = None,
    ) -> None:
        self.optimizer, self.num_epochs, self.precision, self.hooks = optimizer, num_epochs, precision, hooks
        self.patience, self.warmup_steps, self.validation_metric = patience, warmup_steps, validation_metric
        self.cuda_devices = cuda_devices


class Root(Configurable):
    """A whole experiment."""

    def __init__(
        self,
        dataset_reader: Reader,
        model: Net,
        trainer: Training,
        train_data_path: str,
        vocabulary: Store | None = None,
        initializers: Mapping[str, float] | None = None,
        random_seed: int = 13370,
        schema: bool = False,
        json: bool = False,
        model_config: bool = False,
        _private: bool = False,
    ) -> None:
        self.dataset_reader, self.model, self.trainer = dataset_reader, model, trainer
        self.train_data_path, self.vocabulary, self.initializers = train_data_path, vocabulary, initializers


def rich_config() -> dict[str, Any]:
    """A config that uses every kind of value once."""
    return {
        "dataset_reader": {
            "type": "multi",
            "readers": {
                "a": {"type": "lines", "encoding": "latin-1", "fields": ["text"]},
                "b": "lines",
            },
        },
        "model": {
            "type": "stack",
            "parts": [
                {
                    "type": "classifier",
                    "encoder": "bert",
                    "dropout": 0.2,
                    "pooling": "mean",
                    "widths": [1, 2],
                },
                {"type": "classifier", "encoder": {"hidden_size": 64, "num_hidden_layers": 2}, "copy": True},
            ],
        },
        "trainer": {
            "optimizer": {
                "type": "adamw",
                "lr": 2e-5,
                "betas": [0.9, 0.98],
                "weight_decay": 0.01,
                "parameter_groups": [[["bias", "norm"], {"weight_decay": 0}]],
            },
            "num_epochs": 2,
            "patience": 1,
            "warmup_steps": 0.1,
            "validation_metric": "+accuracy",
            "precision": "bfloat16",
            "hooks": [{"type": "log", "every": 10, "folder": "logs", "steps": None}],
            "cuda_devices": [0],
        },
        "train_data_path": "train.jsonl",
        "vocabulary": {"type": "from_text", "text": "a b"},
        "initializers": {".*bias": 0},
        "random_seed": 1,
        "schema": True,
        "json": False,
        "model_config": True,
        "_private": True,
    }
