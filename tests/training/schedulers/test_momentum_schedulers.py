import pytest
import torch

from bertx.config.construct import plan
from bertx.errors import ConfigError
from bertx.training.schedulers.momentum_schedulers import MomentumScheduler
from bertx.training.schedulers.training_length import TrainingLength

STEPS = (2, 3, 2, 2, 1, 2)


def make_scheduler(optimizer: torch.optim.Optimizer, **named: object) -> MomentumScheduler:
    settings = {"cool_down": 2, "warm_up": 2, **named}
    length = TrainingLength(STEPS)
    return plan(MomentumScheduler, {"type": "inverted_triangular", **settings}).build_with(
        optimizer=optimizer, num_steps=length.num_steps, length=length
    )


def make_optimizer(make=torch.optim.SGD, **options: object) -> torch.optim.Optimizer:
    return make([{"params": [torch.nn.Parameter(torch.zeros(1))]}], lr=0.1, **options)


def test_momentum_falls_rises_and_stays_epoch_by_epoch():
    optimizer = make_optimizer(momentum=0.8)
    scheduler, found = make_scheduler(optimizer), []
    for step in range(sum(STEPS)):
        scheduler.set_momentum(step)
        found.append(optimizer.param_groups[0]["momentum"])
    # As in AllenNLP: 0.8 - (0.8 - 0.08) / 2, then 0.08, then half of it back.
    by_epoch = [0.8, 0.44, 0.08, 0.44, 0.8, 0.8]
    expected = [value for value, steps in zip(by_epoch, STEPS, strict=True) for _ in range(steps)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_of_betas_the_first_is_set():
    optimizer = make_optimizer(torch.optim.AdamW, betas=(0.9, 0.98))
    make_scheduler(optimizer, ratio=2).set_momentum(5)
    assert optimizer.param_groups[0]["betas"] == (pytest.approx(0.45), 0.98)


def test_each_group_keeps_its_own_momentum():
    optimizer = make_optimizer(momentum=0.8)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "momentum": 0.5})
    make_scheduler(optimizer).set_momentum(5)
    assert [group["momentum"] for group in optimizer.param_groups] == pytest.approx([0.08, 0.05])


def test_a_resumed_training_has_the_same_momentum():
    optimizer, fresh = make_optimizer(momentum=0.8), make_optimizer(momentum=0.8)
    make_scheduler(optimizer).set_momentum(3)
    resumed = make_scheduler(fresh)
    fresh.load_state_dict(optimizer.state_dict())
    resumed.set_momentum(0)
    assert fresh.param_groups[0]["momentum"] == pytest.approx(0.8)


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adagrad])
def test_an_optimizer_without_momentum_is_refused(make):
    message = (
        r"^trainer\.momentum_scheduler: the optimizer has no momentum to schedule; set trainer\.optimizer\."
        r"momentum or choose an optimizer with betas, such as adamw\n"
    )
    with pytest.raises(ConfigError, match=message):
        make_scheduler(make_optimizer(make))


@pytest.mark.parametrize("name", ["cool_down", "warm_up", "ratio"])
def test_impossible_settings_are_refused(name):
    with pytest.raises(
        ConfigError, match=rf"^trainer\.momentum_scheduler\.{name}: 0.*; expected more than 0\n"
    ):
        make_scheduler(make_optimizer(momentum=0.9), **{name: 0})
