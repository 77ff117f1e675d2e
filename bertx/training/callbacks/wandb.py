"""Sends the numbers of a training to Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.training.callbacks.tracker import Tracker, config_of
from bertx.training.callbacks.trainer_callback import TrainerCallback, TrainingContext


@TrainerCallback.register("wandb")
class WandbTracker(Tracker):
    """Sends config and numbers of a training to Weights & Biases; a resumed training goes on in its run.

    Args:
        project: Where the run belongs; null: what `WANDB_PROJECT` says, or `uncategorized`.
        entity: The user or team; null: the user's default.
        name: What the run is called; null: the name of the run folder.
        group: Groups runs, such as the seeds of one experiment.
        tags: Words to find the run by.
        notes: A remark.
        mode: `offline` writes to `wandb/` in the run folder without any connection, for a later `wandb sync`;
            null: what `WANDB_MODE` says, or `online`.
        every: Optimizer steps between two points of loss and learning rate.

    Raises:
        ConfigError: The package is not installed, or `every` is not positive; later, that a run cannot be
            begun there.
    """

    package: ClassVar[str] = "wandb"

    def __init__(
        self,
        project: str | None = None,
        entity: str | None = None,
        *,
        name: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        mode: Literal["online", "offline"] | None = None,
        every: int = 10,
    ) -> None:
        super().__init__(every)
        self.project, self.entity, self.name, self.group = project, entity, name, group
        self.tags, self.notes, self.mode = tags, notes, mode
        self._id: str | None = None

    def open(self, context: TrainingContext, folder: Path) -> None:
        """Begins a run, or goes on with the one of the interrupted training."""
        import wandb

        if (self.mode or os.environ.get("WANDB_MODE")) == "offline":
            # wandb reports errors of its own over the network, offline too.
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        try:
            self._run = wandb.init(
                project=self.project,
                entity=self.entity,
                name=self.name or folder.absolute().name,
                group=self.group,
                tags=self.tags,
                notes=self.notes,
                mode=self.mode,
                config=config_of(folder),
                dir=folder,
                id=self._id,
                resume="allow" if self._id else None,
                settings=wandb.Settings(console="off"),  # the run folder has a log of its own
            )
        except wandb.Error as error:
            raise ConfigError(
                f'trainer.callbacks: "wandb" cannot begin a run: {error}; log in with `wandb login`, '
                'or give it "mode": "offline"'
            ) from None
        self._id = self._run.id

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Sends numbers; what the run has already from before an interruption, it keeps."""
        if step >= self._run.step:
            self._run.log(dict(numbers), step=step)

    def close(self, *, failed: bool) -> None:
        """Waits until all is sent."""
        self._run.finish(exit_code=int(failed))

    def state_dict(self) -> dict[str, JSON]:
        """Returns the name of the run there."""
        return {"id": self._id}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back the name of the run there."""
        self._id = str(state["id"]) if state["id"] else None
