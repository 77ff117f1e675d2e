"""Plays a training to a callback, with an interruption if asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import orjson

from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext
from tests.training.tiny import make_model

NUM_STEPS = 10


def step(number: int, loss: float | None = None, **changes: object) -> Step:
    made = {"epoch": 0, "loss": 1 / number if loss is None else loss, "lr": number / 8}
    return Step(number, **{**made, "grad_norm": 2.0, "num_instances": 4, **changes})


def context(folder: Path | None, first_step: int = 0) -> TrainingContext:
    return TrainingContext(make_model(), folder, NUM_STEPS, first_step)


def play(callback: TrainerCallback, where: TrainingContext, last_step: int = NUM_STEPS) -> None:
    """Tells of all steps up to one, with a validation after every fifth."""
    for number in range(where.first_step + 1, last_step + 1):
        callback.on_step(where, step(number))
        if number % 5 == 0:
            callback.on_validation(where, number, {"accuracy": number / 10})
    if last_step == NUM_STEPS:
        callback.on_epoch(
            where, {"epoch": 0, "training_loss": 0.25, "validation_accuracy": 1.0, "best": "no"}
        )


def play_twice(make: Callable[[], TrainerCallback], folder: Path, *, validated: bool) -> None:
    """Plays up to step 8 without an end, as a kill leaves it, and from a checkpoint at 5 to the end.

    Args:
        make: Makes the callback.
        folder: The run folder.
        validated: Whether the checkpoint was written after the validation of its step, or before.
    """
    killed, where = make(), context(folder)
    killed.on_start(where)
    for number in range(1, 6):
        killed.on_step(where, step(number))
    state = orjson.dumps(killed.state_dict())
    killed.on_validation(where, 5, {"accuracy": 0.5})
    state = orjson.dumps(killed.state_dict()) if validated else state
    for number in range(6, 9):
        killed.on_step(where, step(number))
    resumed, where = make(), context(folder, first_step=5)
    resumed.load_state_dict(json.loads(state))
    resumed.on_start(where)
    if not validated:
        resumed.on_validation(where, 5, {"accuracy": 0.5})
    play(resumed, where)
    resumed.on_end(where)
