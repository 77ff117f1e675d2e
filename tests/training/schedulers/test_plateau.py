import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertx.errors import ConfigError
from tests.training.schedulers.schedules import largest_difference, make_optimizer, make_scheduler, rates_of

METRICS = st.lists(st.integers(1, 12).map(lambda number: number / 8), min_size=1, max_size=40)


def told(scheduler, values, name="loss", every=10) -> list[list[float]]:
    """The rates after each validation."""
    found = []
    for number, value in enumerate(values, 1):
        scheduler.on_validation(number * every, {name: value})
        found += rates_of(scheduler, number * every + 1, first=number * every)
    return found


def told_torch(values, **named) -> list[list[float]]:
    optimizer = make_optimizer()
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **named)
    found = []
    for value in values:
        schedule.step(value)
        found.append([group["lr"] for group in optimizer.param_groups])
    return found


@settings(deadline=None)
@given(
    values=METRICS,
    mode=st.sampled_from(["min", "max"]),
    factor=st.sampled_from([0.1, 0.5]),
    patience=st.integers(0, 3),
    threshold=st.sampled_from([0, 1e-4, 0.3]),
    threshold_mode=st.sampled_from(["rel", "abs"]),
    cooldown=st.integers(0, 3),
    min_lr=st.sampled_from([0.0, 1e-6, [1e-5, 2e-4]]),
    eps=st.sampled_from([1e-8, 1e-6]),
)
def test_every_validation_has_the_consequence_that_it_has_in_torch(values, mode, **named):
    metric = "-accuracy" if mode == "min" else "+accuracy"
    found = told(make_scheduler("reduce_on_plateau", named, validation_metric=metric), values, "accuracy")
    assert largest_difference(found, told_torch(values, mode=mode, **named)) < 1e-12


@settings(deadline=None)
@given(values=METRICS)
def test_defaults_are_those_of_torch(values):
    scheduler = make_scheduler("reduce_on_plateau", {})
    assert largest_difference(told(scheduler, values), told_torch(values)) < 1e-12


def test_a_falling_loss_is_never_a_plateau_and_a_rising_one_is():
    # AllenNLP 2 hands on the loss with its sign turned, so that a falling one looks like a rising one.
    falling = told(make_scheduler("reduce_on_plateau", {"patience": 1}), [5, 4, 3, 2, 1])
    rising = told(make_scheduler("reduce_on_plateau", {"patience": 1}), [1, 2, 3, 4, 5])
    assert [high for _, high in falling] == [1e-3] * 5
    assert [high for _, high in rising] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5])


def test_a_metric_below_zero_that_stays_the_same_is_a_plateau():
    # In torch -1 is better than -1, by a share of the best value that is below 0.
    found = told(make_scheduler("reduce_on_plateau", {"patience": 0}), [-1, -1, -1])
    assert [high for _, high in found] == pytest.approx([1e-3, 1e-4, 1e-5])


def test_nan_is_not_better():
    found = told(make_scheduler("reduce_on_plateau", {"patience": 0}), [float("nan"), 1, float("nan"), 0.5])
    assert [high for _, high in found] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])


def test_a_mode_against_the_sign_of_the_metric_is_refused():
    message = (
        r'^trainer\.learning_rate_scheduler\.mode: "min", but trainer\.validation_metric is "\+accuracy", of '
        r"which more is better; leave mode out\n"
    )
    with pytest.raises(ConfigError, match=message):
        make_scheduler("reduce_on_plateau", {"mode": "min"}, validation_metric="+accuracy")
    make_scheduler("reduce_on_plateau", {"mode": "max"}, validation_metric="+accuracy")


def parlai(values, *, every: int, warmup: int) -> list[float]:
    named = {"warmup_updates": warmup, "warmup_rate": 0.0, "patience": 1}
    scheduler = make_scheduler(
        "reduceonplateau", named, steps_per_epoch=[60], optimizer=make_optimizer(1.0), validation_metric="+f1"
    )
    return [rate for (rate,) in told(scheduler, values, every=every)]


def test_parlai_s_scheduler_looks_at_the_loss_once_it_is_warm():
    # At 10 and 20 steps of 30 the rate still rises, and what the loss does counts for nothing.
    assert parlai([1, 2, 3, 4, 5, 6], every=10, warmup=30) == pytest.approx([1 / 3, 2 / 3, 1, 1, 0.5, 0.5])


@settings(deadline=None)
@given(values=METRICS)
def test_parlai_s_scheduler_is_that_of_torch_with_other_defaults(values):
    found = told(make_scheduler("reduceonplateau", {}, validation_metric="+accuracy"), values)
    assert largest_difference(found, told_torch(values, factor=0.5, patience=3)) < 1e-12


def test_the_fixed_scheduler_lowers_the_rate_after_every_few_validations():
    scheduler = make_scheduler("fixed", {}, optimizer=make_optimizer(1.0))
    found = [rate for (rate,) in told(scheduler, range(7))]
    assert found == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_validations_during_the_warm_up_are_not_counted_by_the_fixed_scheduler():
    named = {"patience": 1, "warmup_updates": 15, "warmup_rate": 0}
    scheduler = make_scheduler("fixed", named, optimizer=make_optimizer(1.0), steps_per_epoch=[60])
    assert [rate for (rate,) in told(scheduler, range(4))] == pytest.approx([2 / 3, 0.5, 0.25, 0.125])


@pytest.mark.parametrize(
    ("name", "named", "message"),
    [
        ("reduce_on_plateau", {"factor": 0}, "factor: 0.*; expected more than 0 and at most 1"),
        ("reduce_on_plateau", {"patience": -1}, "patience: -1; expected 0 or more"),
        ("reduce_on_plateau", {"cooldown": -1}, "cooldown: -1; expected 0 or more"),
        ("reduce_on_plateau", {"threshold": -1}, "threshold: -1.*; expected 0 or more"),
        ("reduce_on_plateau", {"min_lr": [0.1]}, r"min_lr: \[0\.1\]; expected one for each of the 2 groups"),
        ("reduceonplateau", {"decay": 1.5}, r"decay: 1\.5; expected more than 0 and at most 1"),
        ("fixed", {"patience": 0}, "patience: 0; expected at least 1"),
        ("fixed", {"decay": -1}, "decay: -1.*; expected more than 0 and at most 1"),
    ],
)
def test_impossible_settings_are_refused(name, named, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.learning_rate_scheduler\.{message}\n"):
        make_scheduler(name, named)
