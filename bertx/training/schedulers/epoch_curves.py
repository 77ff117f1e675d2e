"""Staircases over epochs, by AllenNLP's names; the first three are torch's."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

import torch

from bertx.config.registrable import Runtime
from bertx.training.schedulers.curve import Curve, Rate, scaled
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler, require
from bertx.training.schedulers.training_length import TrainingLength


@LearningRateScheduler.register("step")
def step(
    optimizer: Runtime[torch.optim.Optimizer],
    length: Runtime[TrainingLength],
    step_size: int,
    gamma: float = 0.1,
) -> LearningRateScheduler:
    """Multiplies the rate by `gamma` every few epochs.

    Args:
        optimizer: Whose rates it sets.
        length: Where the epochs are.
        step_size: How many epochs have the same rate.
        gamma: The factor.
    """
    require(step_size > 0, "step_size", step_size, "at least 1 epoch")
    return Curve(optimizer, _by_epoch(length, scaled(lambda epoch: gamma ** (epoch // step_size))))


@LearningRateScheduler.register("multi_step")
def multi_step(
    optimizer: Runtime[torch.optim.Optimizer],
    length: Runtime[TrainingLength],
    milestones: list[int],
    gamma: float = 0.1,
) -> LearningRateScheduler:
    """Multiplies the rate by `gamma` at given epochs.

    Args:
        optimizer: Whose rates it sets.
        length: Where the epochs are.
        milestones: The epochs, from 0, that begin with another rate; one that is named twice counts twice.
        gamma: The factor.
    """
    ordered = sorted(milestones)
    return Curve(optimizer, _by_epoch(length, scaled(lambda epoch: gamma ** bisect_right(ordered, epoch))))


@LearningRateScheduler.register("exponential")
def exponential(
    optimizer: Runtime[torch.optim.Optimizer], length: Runtime[TrainingLength], gamma: float = 0.1
) -> LearningRateScheduler:
    """Multiplies the rate by `gamma` after every epoch.

    Args:
        optimizer: Whose rates it sets.
        length: Where the epochs are.
        gamma: The factor.
    """
    return Curve(optimizer, _by_epoch(length, scaled(lambda epoch: gamma**epoch)))


@LearningRateScheduler.register("cosine")
def cosine(
    optimizer: Runtime[torch.optim.Optimizer],
    length: Runtime[TrainingLength],
    t_initial: int,
    *,
    t_mul: float = 1.0,
    eta_min: float = 0.0,
    eta_mul: float = 1.0,
) -> LearningRateScheduler:
    """Lowers the rate along half a cosine, epoch by epoch, and starts again.

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5; that cycles also begin lower is AllenNLP's.

    Args:
        optimizer: Whose rates it sets.
        length: Where the epochs are.
        t_initial: The number of epochs of the first cycle.
        t_mul: How many times longer each cycle is than the one before; rounded down, but never below 1 epoch.
        eta_min: The rate that each cycle falls towards.
        eta_mul: How many times higher each cycle begins than the one before.
    """
    require(t_initial > 0, "t_initial", t_initial, "at least 1 epoch")
    require(t_mul > 0, "t_mul", t_mul, "more than 0")
    require(eta_min >= 0, "eta_min", eta_min, "0 or more")

    def rate(base: float, epoch: int) -> float:
        cycle, cycle_length = 0, t_initial
        while epoch >= cycle_length:
            epoch -= cycle_length
            cycle += 1
            cycle_length = max(1, int(t_initial * t_mul**cycle))
        height = base * eta_mul**cycle - eta_min
        return eta_min + height / 2 * (1 + math.cos(math.pi * epoch / cycle_length))

    return Curve(optimizer, _by_epoch(length, rate))


def _by_epoch(length: TrainingLength, rate: Rate) -> Callable[[float, int], float]:
    """Lets a formula count epochs in place of steps."""
    return lambda base, step: rate(base, length.epoch_of(step))
