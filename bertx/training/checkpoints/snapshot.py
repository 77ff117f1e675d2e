"""The whole state of a training, taken from its parts and given back to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import torch

from bertx.data.instance import JSON
from bertx.models.model import Model
from bertx.training.callbacks.trainer_callback import TrainerCallback
from bertx.training.checkpoints.folder import Checkpoint
from bertx.training.checkpoints.random_state import random_state, seed_apart, set_random_state
from bertx.training.checkpoints.states import State
from bertx.training.processes.parallel import summed
from bertx.training.processes.shards import (
    full_optimizer_state,
    full_tensors,
    load_full,
    load_optimizer_state,
)
from bertx.training.weights import compare_tensors
from bertx.world import World


class Stateful(Protocol):
    """Anything that survives an interruption by a state of its own."""

    def state_dict(self) -> Mapping[str, object]:
        """Returns what must survive."""

    @property
    def load_state_dict(self) -> Callable[..., object]:
        """Takes back what `state_dict` returned."""


@dataclass(frozen=True)
class Snapshot:
    """Takes and restores the state of a training; with several processes, all of them must ask for it.

    What it takes does not depend on how many processes there are, and can be restored with any number.

    Attributes:
        model: The model in training.
        optimizer: Its optimizer.
        parts: All else that has a state, by name; a part that an older state lacks stays as it is.
        callbacks: What else happens; matched by class, so that others may have been added since.
        world: The processes.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    parts: Mapping[str, Stateful]
    callbacks: Sequence[TrainerCallback]
    world: World

    def take(self) -> Checkpoint:
        """Returns the state as it is now."""
        with summed(self.model.statistics, self.world):
            metrics = [statistic.state_dict() for statistic in self.model.statistics]
        state = {
            "optimizer": full_optimizer_state(self.optimizer),
            "metrics": metrics,
            "callbacks": [[type(one).__qualname__, one.state_dict()] for one in self.callbacks],
            "random": self.world.gather(random_state()),
            **{name: part.state_dict() for name, part in self.parts.items()},
        }
        return Checkpoint(full_tensors(self.model), cast("dict[str, State]", state))

    def restore(self, checkpoint: Checkpoint, path: Path) -> None:
        """Gives every part its state back.

        Args:
            checkpoint: The state.
            path: Where it is from, for messages.

        Raises:
            CheckpointError: The weights are not those of the model.
        """
        state = cast("dict[str, JSON]", checkpoint.state)
        compare_tensors(path, checkpoint.weights, full_tensors(self.model))
        load_full(self.model, checkpoint.weights)
        load_optimizer_state(self.optimizer, cast("dict[str, object]", state["optimizer"]))
        for name, part in self.parts.items():
            if name in state:
                part.load_state_dict(cast("dict[str, JSON]", state[name]))
        if self.world.is_main:  # the others count on from nothing
            for statistic, counts in zip(
                self.model.statistics, cast("list[dict[str, JSON]]", state["metrics"]), strict=True
            ):
                statistic.load_state_dict(counts)
        self._restore_callbacks(cast("list[tuple[str, dict[str, JSON]]]", state["callbacks"]))
        self._restore_random(cast("list[dict[str, JSON]]", state["random"]))

    def _restore_callbacks(self, states: Sequence[tuple[str, dict[str, JSON]]]) -> None:
        waiting: dict[str, list[dict[str, JSON]]] = defaultdict(list)
        for name, state in states:
            waiting[name].append(state)
        for callback in self.callbacks:
            if found := waiting[type(callback).__qualname__]:
                callback.load_state_dict(found.pop(0))

    def _restore_random(self, states: Sequence[Mapping[str, JSON]]) -> None:
        if len(states) == self.world.size:
            set_random_state(states[self.world.rank])
        else:
            seed_apart(states, self.world.rank)
