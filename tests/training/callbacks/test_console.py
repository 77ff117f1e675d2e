import logging
import math

import pytest

from bertx.errors import ConfigError
from bertx.training.callbacks.console import Console
from tests.training.callbacks.following import context, play, step


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "bertx")
    return caplog


def test_a_line_every_so_many_steps_and_for_the_last_and_validations(said):
    play(Console(every=4), context(None))
    assert [line.partition(",")[0].partition(":")[0] for line in said.messages] == [
        "step 4 of 10",
        "step 5",
        "step 8 of 10",
        "step 10 of 10",
        "step 10",
    ]
    assert said.messages[1] == "step 5: validation accuracy 0.5000"


def test_a_line_is_readable():
    console = Console(every=4)
    for number in range(1, 4):
        console.on_step(context(None), step(number))
    line = console.line(context(None), step(3, lr=1.5e-5, grad_norm=2.3149), seconds=60.0)
    assert line == (
        "step 3 of 10, epoch 1: loss 0.6111, lr 1.5e-05, gradient norm 2.31, 0 instances/s, 0:02:20 left"
    )


def test_the_loss_is_the_mean_over_instances_since_the_line_before(said):
    console, where = Console(every=2), context(None)
    losses = [(5.0, 1), (7.0, 1), (1.0, 3), (2.0, 1)]
    for number, (loss, instances) in enumerate(losses, 1):
        console.on_step(where, step(number, loss=loss, num_instances=instances))
    assert [line.split("loss ")[1].split(",")[0] for line in said.messages] == ["6.0000", "1.2500"]


def test_the_loss_of_a_skipped_step_is_left_out(said):
    console, where = Console(every=2), context(None)
    console.on_step(where, step(1, loss=math.nan, skipped="the loss is nan"))
    console.on_step(where, step(2, loss=3.0))
    assert "loss 3.0000" in said.messages[0]


def test_every_must_be_positive():
    with pytest.raises(ConfigError, match=r"^console\.every: 0; expected at least 1 step$"):
        Console(every=0)
