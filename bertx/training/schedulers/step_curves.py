"""Curves over optimizer steps, by AllenNLP's names; most are those of Hugging Face's transformers.

All warm-ups count optimizer steps, as in transformers. AllenNLP tells four of these schedules of epochs only,
so that 100 steps of warm-up become 100 epochs. The first step has the number 0, hence the rate 0 if there
is a warm-up.
"""

from __future__ import annotations

import math

import torch

from bertx.config.registrable import Runtime
from bertx.training.schedulers.curve import Curve, num_rising, scaled, warmed_up
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler, require


@LearningRateScheduler.register("constant")
def constant(optimizer: Runtime[torch.optim.Optimizer]) -> LearningRateScheduler:
    """Leaves every group its own rate.

    Args:
        optimizer: Whose rates it sets.
    """
    return Curve(optimizer, lambda base, step: base)


@LearningRateScheduler.register("constant_with_warmup")
def constant_with_warmup(
    optimizer: Runtime[torch.optim.Optimizer], num_steps: Runtime[int], num_warmup_steps: int | float
) -> LearningRateScheduler:
    """Raises the rate linearly from zero, then leaves it as it is.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        num_warmup_steps: The number of rising steps; a number below 1 is a share of all steps, rounded up.
    """
    rising = num_rising(num_warmup_steps, num_steps, "num_warmup_steps")
    return Curve(optimizer, warmed_up(rising, lambda base, step: base))


@LearningRateScheduler.register("polynomial_decay")
def polynomial_decay(
    optimizer: Runtime[torch.optim.Optimizer],
    num_steps: Runtime[int],
    power: float = 1.0,
    *,
    warmup_steps: int | float = 0,
    end_learning_rate: float = 0.0,
) -> LearningRateScheduler:
    """Raises the rate linearly from zero, then lowers it along a power of the share of steps left.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        power: The power; 1 is a straight line.
        warmup_steps: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        end_learning_rate: The rate of every group at the end.
    """
    require(power > 0, "power", power, "more than 0")
    rising = num_rising(warmup_steps, num_steps, "warmup_steps")
    falling = num_steps - rising

    def rate(base: float, step: int) -> float:
        left = max(0, falling - step) / max(1, falling)
        return end_learning_rate + (base - end_learning_rate) * float(left**power)

    return Curve(optimizer, warmed_up(rising, rate))


@LearningRateScheduler.register("linear_with_warmup")
def linear_with_warmup(
    optimizer: Runtime[torch.optim.Optimizer], num_steps: Runtime[int], warmup_steps: int | float = 100
) -> LearningRateScheduler:
    """Raises the rate linearly from zero, then lowers it linearly to zero at the end of training.

    Source: Devlin et al. 2019, appendix A.2.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        warmup_steps: The number of rising steps; a number below 1 is a share of all steps, rounded up.
    """
    return polynomial_decay(optimizer, num_steps, warmup_steps=warmup_steps)


@LearningRateScheduler.register("cosine_with_warmup")
def cosine_with_warmup(
    optimizer: Runtime[torch.optim.Optimizer],
    num_steps: Runtime[int],
    num_warmup_steps: int | float,
    *,
    num_training_steps: int | None = None,
    num_cycles: float = 0.5,
) -> LearningRateScheduler:
    """Raises the rate linearly from zero, then lets it swing along a cosine.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        num_warmup_steps: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        num_training_steps: The step at which the swing ends; None: the end of training.
        num_cycles: How many swings; half a swing falls to zero once.
    """
    total = num_steps if num_training_steps is None else num_training_steps
    rising = num_rising(num_warmup_steps, total, "num_warmup_steps")

    def factor(step: int) -> float:
        progress = step / max(1, total - rising)
        return 0.5 * (1 + math.cos(2 * math.pi * num_cycles * progress))

    return Curve(optimizer, warmed_up(rising, scaled(factor)))


@LearningRateScheduler.register("cosine_hard_restarts_with_warmup")
def cosine_hard_restarts_with_warmup(
    optimizer: Runtime[torch.optim.Optimizer],
    num_steps: Runtime[int],
    num_warmup_steps: int | float,
    *,
    num_training_steps: int | None = None,
    num_cycles: int = 1,
) -> LearningRateScheduler:
    """Raises the rate linearly from zero, then lowers it to zero along half a cosine, several times over.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        num_warmup_steps: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        num_training_steps: The step from which on the rate is zero; None: the end of training.
        num_cycles: How often it falls.
    """
    total = num_steps if num_training_steps is None else num_training_steps
    rising = num_rising(num_warmup_steps, total, "num_warmup_steps")

    def factor(step: int) -> float:
        progress = step / max(1, total - rising)
        return 0.0 if progress >= 1 else 0.5 * (1 + math.cos(math.pi * (num_cycles * progress % 1)))

    return Curve(optimizer, warmed_up(rising, scaled(factor)))


@LearningRateScheduler.register("noam")
def noam(
    optimizer: Runtime[torch.optim.Optimizer],
    num_steps: Runtime[int],
    model_size: int,
    *,
    warmup_steps: int | float,
    factor: float = 1.0,
) -> LearningRateScheduler:
    """Raises the rate linearly, then lowers it by the inverse square root of the step.

    Steps count from 1. The formula gives the rate itself, in place of the optimizer's `lr`. Groups with rates
    of their own keep their proportions: the highest rate becomes the formula's.

    Source: Vaswani et al. 2017, equation 3.

    Args:
        optimizer: Whose rates it sets.
        num_steps: The number of optimizer steps of the whole training.
        model_size: The hidden size.
        warmup_steps: The number of rising steps; a number below 1 is a share of all steps, rounded up.
        factor: The factor on the whole.
    """
    require(model_size > 0, "model_size", model_size, "at least 1")
    rising = max(1, num_rising(warmup_steps, num_steps, "warmup_steps"))
    highest = max(float(group["lr"] or 0) for group in optimizer.param_groups) or 1.0

    def rate(base: float, step: int) -> float:
        number = step + 1
        shape = min(number**-0.5, number * rising**-1.5)
        return base / highest * factor * float(model_size**-0.5) * float(shape)

    return Curve(optimizer, rate)
