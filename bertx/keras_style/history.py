"""What `fit` returns."""

from __future__ import annotations

from collections.abc import Mapping

from bertx.data.instance import JSON
from bertx.training.callbacks.trainer_callback import TrainerCallback, TrainingContext

PREFIXES: Mapping[str, str] = {"training_": "", "validation_": "val_"}


class History(TrainerCallback):
    """The metrics of every epoch.

    Attributes:
        history: The values of each metric, one per epoch: `loss`, `val_loss` and so on.
        epoch: The numbers of the epochs, from 0.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_epoch(self, context: TrainingContext, metrics: Mapping[str, JSON]) -> None:
        """Notes what an epoch has brought."""
        self.epoch.append(len(self.epoch))
        for prefix, keras_prefix in PREFIXES.items():
            for name, value in metrics.items():
                if name.startswith(prefix) and isinstance(value, float):
                    self.history.setdefault(keras_prefix + name.removeprefix(prefix), []).append(value)
