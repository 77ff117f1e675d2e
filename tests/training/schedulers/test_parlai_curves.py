import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertx.errors import ConfigError
from tests.training.schedulers.schedules import (
    largest_difference,
    make_optimizer,
    make_scheduler,
    rates_of,
    rates_of_torch,
)


def curve(name: str, num_steps: int, **named: object) -> list[float]:
    """The rates of a group whose own rate is 1."""
    scheduler = make_scheduler(name, named, steps_per_epoch=[num_steps], optimizer=make_optimizer(1.0))
    return [rate for (rate,) in rates_of(scheduler, num_steps + 1)]


def test_invsqrt_has_the_numbers_of_a_run_of_parlai():
    # Made with ParlAI's InvSqrtLRScheduler, whose first number is that after one step.
    rates = curve("invsqrt", 1000, gamma=1, warmup_updates=50, warmup_rate=0)[1:]
    found = [rates[place] for place in (48, 49, 50, 51, 999)]
    assert found == pytest.approx([0.98, 1.0, 0.70710678, 0.57735027, 0.03242722], abs=5e-9)


def lambda_of_parlai(name: str, warmup: int, total: int, gamma: int):
    """ParlAI's multipliers as its documentation has them."""

    def multiplier(step: int) -> float:
        if step < warmup:
            return 1e-4 + (1 - 1e-4) * min(1.0, step / warmup)
        since, falling = step - warmup, total - warmup
        return {
            "none": 1.0,
            "linear": max(0.0, 1.0 - since / falling),
            "parlai_cosine": math.cos(math.pi * since / (2 * falling)),
            "invsqrt": math.sqrt(max(1, gamma)) / math.sqrt(max(1, gamma + since)),
        }[name]

    return multiplier


@pytest.mark.parametrize("name", ["none", "linear", "parlai_cosine", "invsqrt"])
@settings(deadline=None, max_examples=30)
@given(total=st.integers(1, 40), share=st.floats(0, 0.9), gamma=st.integers(1, 20))
def test_curves_are_those_of_parlai(name, total, share, gamma):
    warmup = min(math.ceil(share * total), total - 1)
    named = {"warmup_updates": warmup, **({"gamma": gamma} if name == "invsqrt" else {})}
    found = rates_of(make_scheduler(name, named, steps_per_epoch=[total]), total + 1)
    multiplier = lambda_of_parlai(name, warmup, total, gamma)
    expected = rates_of_torch(lambda o: torch.optim.lr_scheduler.LambdaLR(o, multiplier), total + 1)
    assert largest_difference(found, expected) < 1e-12


def test_invsqrt_falls_as_slowly_as_it_rose_unless_told_otherwise():
    assert curve("invsqrt", 200, warmup_updates=25) == curve("invsqrt", 200, warmup_updates=25, gamma=25)
    assert curve("invsqrt", 200, warmup_updates=25)[25 + 75] == pytest.approx(0.5)


def test_without_a_warm_up_the_first_step_has_the_full_rate():
    assert [curve(name, 8)[0] for name in ("none", "linear", "parlai_cosine", "invsqrt")] == [1.0] * 4


def test_a_warm_up_may_be_a_share_of_all_steps():
    assert curve("linear", 8, warmup_updates=0.5, warmup_rate=0) == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]
    )


def test_nothing_is_below_zero_after_the_end():
    scheduler = make_scheduler("parlai_cosine", {}, steps_per_epoch=[4])
    assert rates_of(scheduler, 8)[5:] == [[pytest.approx(0), pytest.approx(0)]] * 3


@pytest.mark.parametrize(
    ("name", "named", "message"),
    [
        ("invsqrt", {"gamma": 0}, "gamma: 0; expected at least 1, or null for the number of rising steps"),
        ("none", {"warmup_rate": -1}, "warmup_rate: -1.*; expected 0 or more"),
    ],
)
def test_impossible_settings_are_refused(name, named, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.learning_rate_scheduler\.{message}\n"):
        make_scheduler(name, named)
