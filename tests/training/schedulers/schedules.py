"""What tests of schedules share: optimizers without gradients, and whole curves."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import torch

from bertx.config.construct import plan
from bertx.runs.planning import register_components
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler
from bertx.training.schedulers.training_length import TrainingLength

register_components()

RATES = (2e-5, 1e-3)
"""Own rates of two groups."""


def make_optimizer(*rates: float) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or RATES]
    return torch.optim.SGD(groups, lr=1.0, momentum=0.9)


def make_scheduler(
    name: str,
    settings: dict[str, object],
    *,
    steps_per_epoch: Sequence[int] = (10,),
    optimizer: torch.optim.Optimizer | None = None,
    validation_metric: str = "-loss",
) -> LearningRateScheduler:
    length = TrainingLength(tuple(steps_per_epoch))
    return plan(LearningRateScheduler, {"type": name, **settings}).build_with(
        optimizer=optimizer or make_optimizer(),
        num_steps=length.num_steps,
        length=length,
        validation_metric=validation_metric,
    )


def rates_of(scheduler: LearningRateScheduler, steps: int, first: int = 0) -> list[list[float]]:
    """The rates of all groups at every step."""
    found = []
    for step in range(first, steps):
        scheduler.set_rates(step)
        found.append([group["lr"] for group in scheduler.optimizer.param_groups])
    return found


def rates_of_torch(
    make: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler], steps: int
) -> list[list[float]]:
    """The rates of all groups under a scheduler of torch's kind, which is stepped after every step."""
    optimizer = make_optimizer()
    schedule, found = make(optimizer), []
    for _ in range(steps):
        found.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return found


def largest_difference(found: list[list[float]], expected: list[list[float]]) -> float:
    """Relative to the groups' own rates."""
    assert len(found) == len(expected)
    return max(
        abs(one - other) / rate
        for row, reference in zip(found, expected, strict=True)
        for one, other, rate in zip(row, reference, RATES, strict=True)
    )


def as_json(state: object) -> dict[str, object]:
    """What a checkpoint gives back of a state."""
    text = json.dumps(state, allow_nan=False)
    back: dict[str, object] = json.loads(text)
    return back
