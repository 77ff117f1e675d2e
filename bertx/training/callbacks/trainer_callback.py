"""The family of callbacks: what else happens while a model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bertx.config.registrable import Registrable
from bertx.data.instance import JSON
from bertx.models.model import Model
from bertx.world import World


@dataclass(frozen=True)
class TrainingContext:
    """What a callback may look at.

    Attributes:
        model: The model in training.
        folder: The run folder; None if nothing is written, as by all processes but the main one.
        num_steps: Optimizer steps of the whole training.
        first_step: How many steps were done before, if an interrupted training goes on.
        world: The processes that train together.
    """

    model: Model
    folder: Path | None
    num_steps: int
    first_step: int = 0
    world: World = World()  # noqa: RUF009  (immutable)


@dataclass(frozen=True)
class Step:
    """One optimizer step.

    Attributes:
        step: Its number, from 1.
        epoch: The epoch it belongs to, from 0.
        loss: The loss per instance, as it is, be it NaN.
        lr: The learning rate of the first group.
        grad_norm: The norm of all gradients before clipping; NaN if the step was skipped.
        num_instances: How many instances it saw.
        skipped: Why the weights were left as they were; None: they were not.
    """

    step: int
    epoch: int
    loss: float
    lr: float
    grad_norm: float
    num_instances: int
    skipped: str | None = None


class TrainerCallback(Registrable):
    """Is told of what happens, in the order in which a config lists the callbacks.

    Attributes:
        reads_weights: Whether `on_step` looks at weights or gradients. If no callback does, training may keep
            them in the form that is fastest; all other methods find them as they are.
    """

    reads_weights: ClassVar[bool] = True

    def on_start(self, context: TrainingContext) -> None:
        """Runs before the first step, after `load_state_dict` if an interrupted training goes on."""

    def on_step(self, context: TrainingContext, step: Step) -> None:
        """Runs after every optimizer step."""

    def on_validation(self, context: TrainingContext, step: int, metrics: Mapping[str, float]) -> None:
        """Runs after every validation, with what it found and after how many steps."""

    def metrics(self, context: TrainingContext) -> dict[str, JSON]:
        """Returns what it adds to the metrics of an epoch at its end."""
        return {}

    def on_epoch(self, context: TrainingContext, metrics: Mapping[str, JSON]) -> None:
        """Runs at the end of every epoch, with what `metrics_epoch_N.json` holds."""

    def on_end(self, context: TrainingContext) -> None:
        """Runs when training ends, also by an error."""

    def state_dict(self) -> dict[str, JSON]:
        """Returns what must survive an interruption."""
        return {}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back what `state_dict` returned."""
