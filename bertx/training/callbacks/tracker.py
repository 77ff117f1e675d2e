"""What the callbacks that send numbers elsewhere have in common."""

from __future__ import annotations

import importlib
import json
import sys
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypeGuard

from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext


class Tracker(TrainerCallback):
    """Sends the numbers of steps, validations and epochs somewhere, each with the number of its step.

    Without a run folder nothing is sent.

    Args:
        every: Optimizer steps between two reports of loss and learning rate; the last step is reported too.

    Attributes:
        package: The optional package that it needs; also its registered name, and the extra to install.

    Raises:
        ConfigError: The package cannot be imported, or `every` is not positive.
    """

    reads_weights: ClassVar[bool] = False
    package: ClassVar[str]

    def __init__(self, every: int = 10) -> None:
        if every < 1:
            raise ConfigError(f"{self.package}.every: {every}; expected at least 1 step")
        self.every = every
        _require(self.package)
        self._is_open = False
        self._step = 0

    @abstractmethod
    def open(self, context: TrainingContext, folder: Path) -> None:
        """Connects before the first step; after `load_state_dict` it goes on where that training stopped.

        Args:
            context: The training.
            folder: Its run folder.
        """

    @abstractmethod
    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Sends numbers that belong to a step; a resumed training repeats none that has arrived."""

    @abstractmethod
    def close(self, *, failed: bool) -> None:
        """Sends what is still on its way."""

    def on_start(self, context: TrainingContext) -> None:
        """Opens the tracker."""
        self._step = context.first_step
        if context.folder is not None:
            self.open(context, context.folder)
            self._is_open = True

    def on_step(self, context: TrainingContext, step: Step) -> None:
        """Sends loss, learning rate and gradient norm."""
        self._step = step.step
        if step.step % self.every == 0 or step.step == context.num_steps:
            numbers = {"loss": step.loss, "lr": step.lr, "grad_norm": step.grad_norm}
            self._send("train", numbers)

    def on_validation(self, context: TrainingContext, step: int, metrics: Mapping[str, float]) -> None:
        """Sends the metrics of a validation."""
        self._send("validation", metrics)

    def on_epoch(self, context: TrainingContext, metrics: Mapping[str, JSON]) -> None:
        """Sends the numbers of an epoch, but those of its validation, which are there already."""
        self._send("epoch", {name: value for name, value in metrics.items() if not _is_known(name)})

    def _send(self, group: str, values: Mapping[str, JSON]) -> None:
        numbers = {f"{group}/{name}": float(value) for name, value in values.items() if _is_number(value)}
        if self._is_open and numbers:
            self.write(self._step, numbers)

    def on_end(self, context: TrainingContext) -> None:
        """Closes the tracker."""
        if self._is_open:
            self._is_open = False
            # The trainer calls this on its way out, also while an error passes through it.
            self.close(failed=sys.exception() is not None)


def _is_known(name: str) -> bool:
    return name == "epoch" or name.startswith("validation_")


def _is_number(value: JSON) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _require(package: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f'trainer.callbacks: "{package}" needs the package {package}, which cannot be imported '
            f'({error}); pip install "bertx[{package}]", or take the callback out'
        ) from None


def config_of(folder: Path) -> dict[str, JSON]:
    """Reads the resolved config of a run; an empty one if the training was not started from a config."""
    path = folder / "config.json"
    found: dict[str, JSON] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
