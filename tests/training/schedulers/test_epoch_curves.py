import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from bertx.errors import ConfigError
from tests.training.schedulers.schedules import (
    largest_difference,
    make_optimizer,
    make_scheduler,
    rates_of,
    rates_of_torch,
)

EPOCHS = 25


def by_epoch(name: str, named: dict[str, object]) -> list[list[float]]:
    """The rates of every epoch; epochs have 1, 2 or 3 steps, all with the same rate."""
    steps = [1 + epoch % 3 for epoch in range(EPOCHS)]
    rates = rates_of(make_scheduler(name, named, steps_per_epoch=steps), sum(steps))
    ends = torch.tensor(steps).cumsum(0).tolist()
    for epoch, end in enumerate(ends):
        assert rates[end - steps[epoch] : end] == [rates[end - 1]] * steps[epoch]
    return [rates[end - 1] for end in ends]


@pytest.mark.parametrize(
    ("name", "named", "make"),
    [
        ("step", {"step_size": 3}, lambda o: lr_scheduler.StepLR(o, 3)),
        ("step", {"step_size": 4, "gamma": 0.7}, lambda o: lr_scheduler.StepLR(o, 4, 0.7)),
        ("multi_step", {"milestones": [9, 2, 9]}, lambda o: lr_scheduler.MultiStepLR(o, [2, 9, 9])),
        ("multi_step", {"milestones": [1], "gamma": 3}, lambda o: lr_scheduler.MultiStepLR(o, [1], 3)),
        ("exponential", {"gamma": 0.9}, lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
        ("exponential", {}, lambda o: lr_scheduler.ExponentialLR(o, 0.1)),
    ],
)
def test_every_epoch_has_the_rate_of_torch(name, named, make):
    assert largest_difference(by_epoch(name, named), rates_of_torch(make, EPOCHS)) < 1e-12


@settings(deadline=None, max_examples=30)
@given(first=st.integers(1, 9), mul=st.integers(1, 3), low=st.sampled_from([0.0, 1e-6, 1e-5]))
def test_cosine_restarts_are_those_of_torch(first, mul, low):
    expected = rates_of_torch(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, first, mul, low), EPOCHS)
    found = by_epoch("cosine", {"t_initial": first, "t_mul": mul, "eta_min": low})
    assert largest_difference(found, expected) < 1e-12


def test_cycles_of_a_cosine_may_shrink_and_begin_lower():
    named = {"t_initial": 3, "t_mul": 0.7, "eta_mul": 0.5}
    scheduler = make_scheduler("cosine", named, optimizer=make_optimizer(1.0), steps_per_epoch=[1] * 8)
    # Cycles of 3, 2 (2.1), 1 (1.47), 1 (1.03) and 1 (0.72, which is no epoch) epochs.
    expected = [1, 0.75, 0.25, 0.5, 0.25, 0.25, 0.125, 0.0625]
    assert [rate for (rate,) in rates_of(scheduler, 8)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "named", "message"),
    [
        ("step", {"step_size": 0}, "step_size: 0; expected at least 1 epoch"),
        ("cosine", {"t_initial": 0}, "t_initial: 0; expected at least 1 epoch"),
        ("cosine", {"t_initial": 1, "t_mul": 0}, r"t_mul: 0\.0; expected more than 0"),
        ("cosine", {"t_initial": 1, "eta_min": -1e-9}, "eta_min: -1e-09; expected 0 or more"),
    ],
)
def test_impossible_settings_are_refused(name, named, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.learning_rate_scheduler\.{message}\n"):
        make_scheduler(name, named)
