import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertx.errors import ConfigError
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler
from tests.test_contracts import ROWS
from tests.training.schedulers.schedules import RATES, as_json, make_optimizer, make_scheduler, rates_of

EPOCHS = [3, 4, 4, 5, 2]
NESTED = {"schedulers": [[2, {"type": "reduce_on_plateau", "patience": 0}], [2, {"type": "fixed"}]]}
SETTINGS = [
    *ROWS["LearningRateScheduler"].items(),
    ("combined", NESTED),
    ("reduce_on_plateau", {"patience": 0}),
]


def run(scheduler: LearningRateScheduler, losses: list[float], first: int, last: int) -> list[list[float]]:
    """The rates from one step to another, with a validation after every second step."""
    found = []
    for step in range(first, last):
        found += rates_of(scheduler, step + 1, first=step)
        if step % 2:
            scheduler.on_validation(step + 1, {"loss": losses[step]})
    return found


@pytest.mark.parametrize(("name", "named"), SETTINGS)
@settings(deadline=None, max_examples=15)
@given(stop=st.integers(0, 18), losses=st.lists(st.floats(0.1, 9), min_size=18, max_size=18))
def test_a_resumed_training_has_the_same_curve(name, named, stop, losses):
    whole = run(make_scheduler(name, named, steps_per_epoch=EPOCHS), losses, 0, 18)
    optimizer = make_optimizer()
    interrupted = make_scheduler(name, named, steps_per_epoch=EPOCHS, optimizer=optimizer)
    before = run(interrupted, losses, 0, stop)
    fresh = make_optimizer()
    resumed = make_scheduler(name, named, steps_per_epoch=EPOCHS, optimizer=fresh)
    fresh.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(as_json(interrupted.state_dict()))
    assert before + run(resumed, losses, stop, 18) == whole


@pytest.mark.parametrize(
    "make", [torch.optim.AdamW, torch.optim.Adagrad, torch.optim.LBFGS, torch.optim.Rprop]
)
def test_rates_reach_every_optimizer(make):
    optimizer = make([torch.nn.Parameter(torch.zeros(2))], lr=0.8)
    scheduler = make_scheduler(
        "linear_with_warmup", {"warmup_steps": 2}, optimizer=optimizer, steps_per_epoch=[6]
    )
    assert [rate for (rate,) in rates_of(scheduler, 6)] == pytest.approx([0.0, 0.4, 0.8, 0.6, 0.4, 0.2])


def test_a_rate_that_is_a_tensor_is_filled_in_place():
    rate = torch.tensor(0.5)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=rate, foreach=False)
    own = optimizer.param_groups[0]["lr"]
    make_scheduler("exponential", {}, steps_per_epoch=[1, 1], optimizer=optimizer).set_rates(1)
    assert optimizer.param_groups[0]["lr"] is own
    assert float(own) == pytest.approx(0.05)


def test_an_optimizer_without_a_rate_is_refused():
    optimizer = make_optimizer(1.0)
    optimizer.param_groups[0]["lr"] = None
    message = (
        r"^trainer\.learning_rate_scheduler: the optimizer finds its rate itself, its lr is null; set "
        r"trainer\.optimizer\.lr, or leave the scheduler out\n"
    )
    with pytest.raises(ConfigError, match=message):
        make_scheduler("constant", {}, optimizer=optimizer)


def test_schedulers_without_validations_have_no_state():
    with_state = {name for name, named in SETTINGS if make_scheduler(name, named).state_dict()}
    assert with_state == {"combined", "fixed", "reduce_on_plateau", "reduceonplateau"}


def test_groups_start_from_their_own_rates():
    for name, named in SETTINGS:
        low, high = make_scheduler(name, named, steps_per_epoch=EPOCHS).rates(5)
        assert low / high == pytest.approx(RATES[0] / RATES[1]), name
