import pytest

from bertx.errors import ConfigError
from tests.training.schedulers.schedules import make_optimizer, make_scheduler, rates_of

STEPS = [4, 4, 5, 3]


def combined(*parts: list[object], steps_per_epoch=STEPS, rates=(1.0,)):
    return make_scheduler(
        "combined",
        {"schedulers": list(parts)},
        steps_per_epoch=steps_per_epoch,
        optimizer=make_optimizer(*rates),
    )


def test_each_scheduler_sees_its_epochs_as_the_whole_training():
    scheduler = combined([1, "constant"], [2, {"type": "linear_with_warmup", "warmup_steps": 3}])
    found = [rate for (rate,) in rates_of(scheduler, 13)]
    falling = [1 - step / 6 for step in range(6)]
    assert found == pytest.approx([1, 1, 1, 1, 0, 1 / 3, 2 / 3, *falling])


def test_the_rate_stays_when_the_epochs_of_all_are_over():
    scheduler = combined([1, {"type": "linear"}])
    assert rates_of(scheduler, 16)[3:] == [[pytest.approx(0.25)]] * 13


def test_epochs_that_training_does_not_reach_are_left_out():
    scheduler = combined([1, "constant"], [30, {"type": "step", "step_size": 1}], [5, "none"])
    assert [rate for (rate,) in rates_of(scheduler, 16)] == pytest.approx([1] * 8 + [0.1] * 5 + [0.01] * 3)


def test_a_validation_is_told_to_the_scheduler_whose_steps_it_follows():
    plateau = {"type": "reduce_on_plateau", "patience": 0}
    scheduler = combined([1, plateau], [1, plateau], [1, "constant"])
    for step in (2, 4, 6, 8, 13, 16):  # the loss grows; two validations in each epoch of the first two
        scheduler.on_validation(step, {"loss": float(step)})
    assert [part.state_dict().get("best") for part in scheduler.schedulers] == [2.0, 6.0, None]
    assert rates_of(scheduler, 9)[3:] == [[pytest.approx(0.1)]] * 5 + [[1.0]]


def test_layers_are_unfrozen_within_the_epochs_of_their_scheduler():
    scheduler = combined(
        [1, "constant"], [2, {"type": "slanted_triangular", "gradual_unfreezing": True}], rates=(1.0, 1.0)
    )
    low = scheduler.optimizer.param_groups[0]["params"][0]
    trained = []
    for step in range(13):
        scheduler.set_rates(step)
        trained.append(low.requires_grad)
    assert trained == [True] * 4 + [False] * 4 + [True] * 5


def test_a_combination_of_nothing_is_refused():
    with pytest.raises(
        ConfigError, match=r"^trainer\.learning_rate_scheduler\.schedulers: \[\]; expected at"
    ):
        combined()
    with pytest.raises(ConfigError, match=r"schedulers: 0 epochs; expected at least 1\n"):
        combined([0, "constant"])
