"""ParlAI's curves over optimizer steps, all with its warm-up.

Names are ParlAI's; only its cosine, a quarter of one, has another, since AllenNLP calls something else so.
ParlAI counts steps in two places that are one apart, so that its trainings leave out the last step of the
warm-up. The curves are drawn as its tests draw them: the rate is the full one when `warmup_updates` steps are
done. Training ends by `trainer.max_steps` or its epochs, never by a scheduler.
"""

from __future__ import annotations

import math

import torch

from bertx.config.registrable import Runtime
from bertx.training.schedulers.curve import Curve, num_rising, scaled, warmed_up
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler, require


@LearningRateScheduler.register("none")
def none(
    optimizer: Runtime[torch.optim.Optimizer],
    num_steps: Runtime[int],
    *,
    warmup_updates: int | float = 0,
    warmup_rate: float = 1e-4,
) -> LearningRateScheduler:
    """Leaves the rate as it is after the warm-up.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        warmup_updates: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        warmup_rate: The factor on the first step's rate if there is a warm-up.
    """
    rising = num_rising(warmup_updates, num_steps, "warmup_updates")
    return Curve(optimizer, warmed_up(rising, lambda base, step: base, start=warmup_rate))


@LearningRateScheduler.register("linear")
def linear(
    optimizer: Runtime[torch.optim.Optimizer],
    num_steps: Runtime[int],
    *,
    warmup_updates: int | float = 0,
    warmup_rate: float = 1e-4,
) -> LearningRateScheduler:
    """Lowers the rate linearly to zero at the end of training, after the warm-up.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        warmup_updates: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        warmup_rate: The factor on the first step's rate if there is a warm-up.
    """
    rising = num_rising(warmup_updates, num_steps, "warmup_updates")
    falling = max(1, num_steps - rising)
    factor = scaled(lambda step: max(0.0, 1 - step / falling))
    return Curve(optimizer, warmed_up(rising, factor, start=warmup_rate))


@LearningRateScheduler.register("parlai_cosine")
def parlai_cosine(
    optimizer: Runtime[torch.optim.Optimizer],
    num_steps: Runtime[int],
    *,
    warmup_updates: int | float = 0,
    warmup_rate: float = 1e-4,
) -> LearningRateScheduler:
    """Lowers the rate along the first quarter of a cosine to zero at the end of training, after the warm-up.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        warmup_updates: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        warmup_rate: The factor on the first step's rate if there is a warm-up.
    """
    rising = num_rising(warmup_updates, num_steps, "warmup_updates")
    falling = max(1, num_steps - rising)
    factor = scaled(lambda step: math.cos(math.pi / 2 * min(1, step / falling)))
    return Curve(optimizer, warmed_up(rising, factor, start=warmup_rate))


@LearningRateScheduler.register("invsqrt")
def invsqrt(
    optimizer: Runtime[torch.optim.Optimizer],
    num_steps: Runtime[int],
    *,
    gamma: int | None = None,
    warmup_updates: int | float = 0,
    warmup_rate: float = 1e-4,
) -> LearningRateScheduler:
    """Lowers the rate by the inverse square root of the number of steps, after the warm-up.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        gamma: How slowly it falls: to half after 3 times as many steps; None: the number of rising steps.
        warmup_updates: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        warmup_rate: The factor on the first step's rate if there is a warm-up.
    """
    require(gamma is None or gamma > 0, "gamma", gamma, "at least 1, or null for the number of rising steps")
    rising = num_rising(warmup_updates, num_steps, "warmup_updates")
    slowness = rising if gamma is None else gamma
    factor = scaled(lambda step: math.sqrt(max(1, slowness) / max(1, slowness + step)))
    return Curve(optimizer, warmed_up(rising, factor, start=warmup_rate))
