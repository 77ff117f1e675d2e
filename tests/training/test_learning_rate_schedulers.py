import math

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from bertx.config.construct import plan
from bertx.errors import ConfigError
from bertx.training.learning_rate_schedulers import LearningRateScheduler, LinearWithWarmup


def make_optimizer(*rates: float) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=1.0)


def rates_of(scheduler: LearningRateScheduler, steps: int) -> list[list[float]]:
    """The rates of all groups at every step."""
    found = []
    for step in range(steps):
        scheduler.set_rates(step)
        found.append([group["lr"] for group in scheduler.optimizer.param_groups])
    return found


def rates_of_transformers(warmup_steps: int, num_steps: int, steps: int) -> list[list[float]]:
    optimizer = make_optimizer(2e-5, 1e-3)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup_steps, num_steps)
    found = []
    for _ in range(steps):
        found.append(schedule.get_last_lr())
        optimizer.step()
        schedule.step()
    return found


@settings(deadline=None)
@given(num_steps=st.integers(1, 40), warmup_steps=st.integers(0, 50))
def test_every_step_has_the_rate_of_transformers(num_steps, warmup_steps):
    found = rates_of(LinearWithWarmup(make_optimizer(2e-5, 1e-3), num_steps, warmup_steps), num_steps + 2)
    expected = rates_of_transformers(warmup_steps, num_steps, num_steps + 2)
    assert found == [pytest.approx(rates, rel=1e-12) for rates in expected]


@settings(deadline=None)
@given(num_steps=st.integers(1, 40), share=st.floats(0, 0.999))
def test_a_share_of_all_steps_is_that_of_the_trainer_of_transformers(num_steps, share):
    warmup_steps = transformers.TrainingArguments.get_warmup_steps(Share(share), num_steps)
    found = rates_of(LinearWithWarmup(make_optimizer(2e-5, 1e-3), num_steps, share), num_steps)
    expected = rates_of_transformers(warmup_steps, num_steps, num_steps)
    assert found == [pytest.approx(rates, rel=1e-12) for rates in expected]


class Share:
    """The only part of TrainingArguments that counts steps."""

    def __init__(self, warmup_steps: float) -> None:
        self.warmup_steps = warmup_steps


def test_rates_by_hand():
    found = rates_of(LinearWithWarmup(make_optimizer(0.8), 6, 2), 6)
    assert [rate for (rate,) in found] == pytest.approx([0.0, 0.4, 0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize(("written", "expected"), [(1, 1), (1.0, 1), (0, 0), (0.25, 3), (7, 7), (7.0, 7)])
def test_a_number_from_1_on_is_a_number_of_steps(written, expected):
    config = {"type": "linear_with_warmup", "warmup_steps": written}
    scheduler = plan(LearningRateScheduler, config).build(optimizer=make_optimizer(1.0), num_steps=10)
    assert scheduler.warmup_steps == expected


def test_the_default_are_100_steps():
    assert LinearWithWarmup(make_optimizer(1.0), 1000).warmup_steps == 100


@pytest.mark.parametrize("warmup_steps", [-1, -0.5, 1.5, math.inf, math.nan])
def test_other_numbers_are_refused(warmup_steps):
    message = (
        rf"^trainer\.learning_rate_scheduler\.warmup_steps: {warmup_steps}; "
        "expected a whole number of steps, or a share of all steps between 0 and 1$"
    )
    with pytest.raises(ConfigError, match=message):
        LinearWithWarmup(make_optimizer(1.0), 10, warmup_steps)
