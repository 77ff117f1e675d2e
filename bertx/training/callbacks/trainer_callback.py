"""The family of callbacks: what else happens while a model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bertx.config.registrable import Registrable
from bertx.data.instance import JSON
from bertx.models.model import Model


@dataclass(frozen=True)
class TrainingContext:
    """What a callback may look at.

    Attributes:
        model: The model in training.
        folder: The run folder; None if nothing is written.
        num_steps: Optimizer steps of the whole training.
    """

    model: Model
    folder: Path | None
    num_steps: int


@dataclass(frozen=True)
class Step:
    """One optimizer step.

    Attributes:
        step: Its number, from 1.
        epoch: The epoch it belongs to, from 0.
        loss: The loss per instance.
        lr: The learning rate of the first group.
        grad_norm: The norm of all gradients before clipping; None if it was not needed.
        num_instances: How many instances it saw.
    """

    step: int
    epoch: int
    loss: float
    lr: float
    grad_norm: float | None
    num_instances: int


class TrainerCallback(Registrable):
    """Is told of what happens, in the order in which a config lists the callbacks."""

    def on_start(self, context: TrainingContext) -> None:
        """Runs before the first step."""

    def on_step(self, context: TrainingContext, step: Step) -> None:
        """Runs after every optimizer step."""

    def on_epoch(self, context: TrainingContext, metrics: Mapping[str, JSON]) -> None:
        """Runs after the validation of every epoch, with what `metrics_epoch_N.json` holds."""

    def on_end(self, context: TrainingContext) -> None:
        """Runs when training ends, also by an error."""

    def state_dict(self) -> dict[str, JSON]:
        """Returns what must survive an interruption."""
        return {}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back what `state_dict` returned."""
