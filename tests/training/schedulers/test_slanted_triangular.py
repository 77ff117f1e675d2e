import pytest
import torch

from bertx.config.construct import plan
from bertx.errors import ConfigError
from bertx.training.optimizers.optimizer import Optimizer
from tests.training.schedulers.schedules import make_optimizer, make_scheduler, rates_of


def formula(number: int, num_steps: int, cut_frac: float = 0.1, ratio: float = 32) -> float:
    """Equation 3 of Howard & Ruder 2018, steps from 1; as AllenNLP, with what is left after the cut below."""
    cut = int(num_steps * cut_frac)
    height = number / cut if number < cut else 1 - (number - cut) / (num_steps - cut)
    return (1 + height * (ratio - 1)) / ratio


def factors(scheduler, steps: int) -> list[list[float]]:
    """The rates of groups whose own rates are 1."""
    return rates_of(scheduler, steps)


def test_a_steep_rise_is_followed_by_a_long_fall():
    scheduler = make_scheduler(
        "slanted_triangular", {}, steps_per_epoch=[30, 20], optimizer=make_optimizer(1.0)
    )
    found = [rate for (rate,) in factors(scheduler, 50)]
    assert found == pytest.approx([formula(number, 50) for number in range(1, 51)], rel=1e-12)
    assert found[:6] == pytest.approx([0.225, 0.41875, 0.6125, 0.80625, 1.0, 0.97847222], rel=1e-7)
    assert found[-1] == pytest.approx(1 / 32)


def test_without_a_rise_it_only_falls():
    scheduler = make_scheduler(
        "slanted_triangular", {"cut_frac": 0, "ratio": 2}, optimizer=make_optimizer(1.0)
    )
    found = [rate for (rate,) in factors(scheduler, 10)]
    assert found == pytest.approx([1 - number / 20 for number in range(1, 11)])


def test_each_layer_has_a_lower_rate_than_the_one_above():
    scheduler = make_scheduler(
        "slanted_triangular", {"discriminative_fine_tuning": True}, optimizer=make_optimizer(1.0, 2.0, 3.0)
    )
    assert factors(scheduler, 1)[0] == pytest.approx([0.38**2, 2 * 0.38, 3.0])


def test_layers_join_from_the_top_and_each_such_epoch_has_its_own_triangle():
    optimizer = make_optimizer(1.0, 1.0, 1.0)
    scheduler = make_scheduler(
        "slanted_triangular",
        {"gradual_unfreezing": True},
        steps_per_epoch=[20, 30, 25, 25],
        optimizer=optimizer,
    )
    trained, rates = [], []
    for step in range(100):
        scheduler.set_rates(step)
        trained.append([group["params"][0].requires_grad for group in optimizer.param_groups])
        rates.append(optimizer.param_groups[0]["lr"])
    assert trained == [[False, False, True]] * 20 + [[False, True, True]] * 30 + [[True] * 3] * 50
    expected = [formula(number, steps) for steps in (20, 30, 50) for number in range(1, steps + 1)]
    assert rates == pytest.approx(expected, rel=1e-12)


def test_what_is_spared_from_weight_decay_belongs_to_its_layer():
    network = torch.nn.ModuleDict({name: torch.nn.Linear(1, 1) for name in ("low", "high")})
    groups = [[["low"], {}], [["high"], {}]]
    config = {"type": "adamw", "lr": 1.0, "weight_decay": 0.1, "parameter_groups": groups}
    optimizer = plan(Optimizer, config).build(named_parameters=list(network.named_parameters()))
    named = {"discriminative_fine_tuning": True, "decay_factor": 0.5}
    scheduler = make_scheduler("slanted_triangular", named, optimizer=optimizer)
    assert factors(scheduler, 1)[0] == pytest.approx([0.5, 0.5, 1.0, 1.0])


@pytest.mark.parametrize("flag", ["gradual_unfreezing", "discriminative_fine_tuning"])
def test_layers_must_be_groups(flag):
    message = (
        rf"^trainer\.learning_rate_scheduler\.{flag}: true; expected one parameter group for each layer, but "
        r"there is one in all\n"
    )
    with pytest.raises(ConfigError, match=message):
        make_scheduler("slanted_triangular", {flag: True}, optimizer=make_optimizer(1.0))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"cut_frac": 1}, "cut_frac: 1.*; expected at least 0 and less than 1"),
        ({"ratio": 0}, "ratio: 0.*; expected more than 0"),
    ],
)
def test_impossible_settings_are_refused(named, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.learning_rate_scheduler\.{message}\n"):
        make_scheduler("slanted_triangular", named)
