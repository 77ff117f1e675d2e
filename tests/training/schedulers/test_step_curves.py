import math

import pytest
import torch
import transformers
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

REFERENCES = {
    "constant_with_warmup": lambda o, warmup, total, _: transformers.get_constant_schedule_with_warmup(
        o, warmup
    ),
    "linear_with_warmup": lambda o, warmup, total, _: transformers.get_linear_schedule_with_warmup(
        o, warmup, total
    ),
    "cosine_with_warmup": lambda o, warmup, total, cycles: transformers.get_cosine_schedule_with_warmup(
        o, warmup, total, cycles / 2
    ),
    "cosine_hard_restarts_with_warmup": lambda o, warmup, total, cycles: (
        transformers.get_cosine_with_hard_restarts_schedule_with_warmup(o, warmup, total, cycles)
    ),
}


def ours(name: str, warmup: float, total: int, cycles: int = 1) -> list[list[float]]:
    key = "warmup_steps" if name == "linear_with_warmup" else "num_warmup_steps"
    more = {"cosine_with_warmup": {"num_cycles": cycles / 2}}
    more["cosine_hard_restarts_with_warmup"] = {"num_cycles": cycles}
    scheduler = make_scheduler(name, {key: warmup, **more.get(name, {})}, steps_per_epoch=[total])
    return rates_of(scheduler, total + 2)


@pytest.mark.parametrize("name", REFERENCES)
@settings(deadline=None, max_examples=40)
@given(total=st.integers(1, 40), warmup=st.integers(0, 50), cycles=st.integers(1, 4))
def test_every_step_has_the_rate_of_transformers(name, total, warmup, cycles):
    expected = rates_of_torch(lambda o: REFERENCES[name](o, warmup, total, cycles), total + 2)
    assert largest_difference(ours(name, warmup, total, cycles), expected) < 1e-12


@settings(deadline=None, max_examples=40)
@given(
    falling=st.integers(1, 40),
    warmup=st.integers(0, 50),
    power=st.floats(0.3, 3),
    end=st.sampled_from([0, 1e-5]),
)
def test_polynomial_decay_is_that_of_transformers(falling, warmup, power, end):
    total = warmup + falling
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    factor = transformers.get_polynomial_decay_schedule_with_warmup(
        optimizer, warmup, total, lr_end=end, power=power
    ).lr_lambdas[0]
    named = {"warmup_steps": warmup, "power": power, "end_learning_rate": end}
    scheduler = make_scheduler(
        "polynomial_decay", named, steps_per_epoch=[total], optimizer=make_optimizer(0.5)
    )
    expected = [0.5 * factor(step) for step in range(total + 2)]
    assert [rate for (rate,) in rates_of(scheduler, total + 2)] == pytest.approx(expected, rel=1e-12)


@settings(deadline=None)
@given(num_steps=st.integers(1, 40), share=st.floats(0, 0.999))
def test_a_share_of_all_steps_is_that_of_the_trainer_of_transformers(num_steps, share):
    warmup_steps = transformers.TrainingArguments.get_warmup_steps(Share(share), num_steps)
    assert ours("linear_with_warmup", share, num_steps) == ours("linear_with_warmup", warmup_steps, num_steps)


class Share:
    """The only part of TrainingArguments that counts steps."""

    def __init__(self, warmup_steps: float) -> None:
        self.warmup_steps = warmup_steps


def test_rates_by_hand():
    scheduler = make_scheduler(
        "linear_with_warmup", {"warmup_steps": 2}, steps_per_epoch=[6], optimizer=make_optimizer(0.8)
    )
    found = [rate for (rate,) in rates_of(scheduler, 6)]
    assert found == pytest.approx([0.0, 0.4, 0.8, 0.6, 0.4, 0.2])


def test_a_constant_rate_is_each_group_s_own():
    assert rates_of(make_scheduler("constant", {}), 3) == [[2e-5, 1e-3]] * 3


def test_a_cosine_may_end_before_training_does():
    named = {"num_warmup_steps": 0.5, "num_training_steps": 4}
    found = rates_of(
        make_scheduler("cosine_with_warmup", named, optimizer=make_optimizer(1.0), steps_per_epoch=[9]), 5
    )
    assert [rate for (rate,) in found] == pytest.approx([0, 0.5, 1, 0.5, 0])


def noam_of_annotated_transformer(step: int, model_size: int, factor: float, warmup: int) -> float:
    """The formula of the paper, with its steps from 1."""
    return factor * model_size**-0.5 * min(step**-0.5, step * warmup**-1.5)


def test_noam_is_the_formula_of_the_paper_whatever_the_optimizer_s_rate():
    named = {"model_size": 512, "warmup_steps": 7, "factor": 2}
    scheduler = make_scheduler("noam", named, optimizer=make_optimizer(123.0), steps_per_epoch=[30])
    expected = [noam_of_annotated_transformer(number, 512, 2, 7) for number in range(1, 31)]
    assert [rate for (rate,) in rates_of(scheduler, 30)] == pytest.approx(expected, rel=1e-12)
    assert max(expected) == expected[6] == pytest.approx(2 * 512**-0.5 * 7**-0.5)


def test_noam_keeps_the_proportions_of_groups():
    low, high = rates_of(make_scheduler("noam", {"model_size": 4, "warmup_steps": 1}), 1)[0]
    assert (low, high) == (pytest.approx(0.01), pytest.approx(0.5))


@pytest.mark.parametrize(("written", "expected"), [(1, 1), (1.0, 1), (0, 0), (0.25, 3), (7, 7), (7.0, 7)])
def test_a_number_from_1_on_is_a_number_of_steps(written, expected):
    assert ours("linear_with_warmup", written, 10) == ours("linear_with_warmup", expected, 10)


def test_the_default_are_100_steps():
    default = make_scheduler("linear_with_warmup", {}, steps_per_epoch=[1000])
    assert rates_of(default, 1000) == ours("linear_with_warmup", 100, 1000)[:1000]


@pytest.mark.parametrize("warmup_steps", [-1, -0.5, 1.5])
def test_other_numbers_are_refused(warmup_steps):
    message = (
        rf"^trainer\.learning_rate_scheduler\.warmup_steps: {warmup_steps}; "
        r"expected a whole number of steps, or a share of all steps between 0 and 1\n"
    )
    with pytest.raises(ConfigError, match=message):
        ours("linear_with_warmup", warmup_steps, 10)


@pytest.mark.parametrize(
    ("name", "named", "message"),
    [
        ("polynomial_decay", {"power": 0}, r"power: 0.*; expected more than 0\n"),
        ("noam", {"model_size": 0, "warmup_steps": 1}, r"model_size: 0; expected at least 1\n"),
    ],
)
def test_impossible_settings_are_refused(name, named, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.learning_rate_scheduler\.{message}"):
        make_scheduler(name, named)


def test_infinity_is_no_number_of_steps():
    from bertx.training.schedulers.step_counts import number_of_steps

    for written in (math.inf, math.nan):
        with pytest.raises(
            ConfigError, match=rf"^here: {written}; expected a whole number of steps, or a share"
        ):
            number_of_steps(written, 10, "here")
