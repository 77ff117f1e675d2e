import itertools
import logging
import math
import sys

import numpy as np
import pytest

from bertx.errors import TrainingError, UsageError
from bertx.runs.find_lr import RateRange, Sweep, as_csv, search, suggestions
from bertx.runs.find_lr_picture import draw
from tests.training.tiny import make_model, make_split, make_trainer, records


def batches(split):
    """Yields groups of one batch without an end."""
    return ([batch] for epoch in itertools.count() for batch in split.batches(epoch))


def searched(folder, rates, settings=None):
    split = make_split(folder, records(40))
    trainer = make_trainer(make_model(), split, settings or {})
    return trainer.loop.steps, search(trainer.loop.steps, batches(split), rates)


def valley():
    """A sweep whose loss falls along log(lr) as a sigmoid around 1e-3, and explodes from 1e-1 on."""
    rates = [10 ** (-5 + number / 20) for number in range(101)]
    losses = [2 - 1 / (1 + math.exp(-4 * (math.log10(lr) + 3))) + (lr / 0.3) ** 3 for lr in rates]
    return Sweep(rates, losses, "all batches are done")


def test_rates_grow_by_a_factor_or_by_a_difference():
    assert [RateRange(1e-4, 1, 13).rate(n) for n in (0, 6, 12)] == pytest.approx([1e-4, 1e-2, 1])
    assert [RateRange(1, 3, 11, linear=True).rate(n) for n in (0, 5, 10)] == pytest.approx([1, 2, 3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start_lr": 0.0}, r"^--start-lr 0 --end-lr 10: expected 0 < start < end$"),
        ({"end_lr": 1e-6}, r"^--start-lr 1e-05 --end-lr 1e-06: expected 0 < start < end$"),
        ({"num_batches": 10}, r"^--num-batches 10: expected more than 10$"),
        ({"stopping_factor": 1.0}, r"^--stopping-factor 1: expected a number above 1$"),
    ],
)
def test_numbers_out_of_range_are_told(changes, message):
    with pytest.raises(UsageError, match=message):
        RateRange(**changes)


def test_every_rate_is_tried_once(tmp_path):
    rates = RateRange(1e-6, 1e-2, 13)
    _, sweep = searched(tmp_path, rates)
    assert sweep.rates == [rates.rate(number) for number in range(13)]
    assert (len(sweep.losses), sweep.ending) == (13, "all batches are done")


def test_the_first_loss_is_that_of_the_model_as_it_is(tmp_path):
    _, sweep = searched(tmp_path, RateRange())
    model, split = make_model(), make_split(tmp_path, records(40))
    batch = next(split.batches(0))
    assert sweep.losses[0] == pytest.approx(float(model(**batch.inputs)["loss"].detach()), rel=1e-6)


def test_groups_of_parameters_keep_the_ratios_of_their_rates(tmp_path):
    optimizer = {"type": "sgd", "lr": 0.1, "parameter_groups": [[["classifier"], {"lr": 0.4}]]}
    steps, sweep = searched(tmp_path, RateRange(1e-5, 1e-2, 12), {"optimizer": optimizer})
    found = sorted(group["lr"] for group in steps.optimizer.param_groups if group["params"])
    assert found[-1] == pytest.approx(4 * sweep.rates[-1])
    assert found[0] == pytest.approx(sweep.rates[-1])


def test_a_stopping_factor_ends_it_when_the_loss_has_grown(tmp_path):
    _, whole = searched(tmp_path, RateRange(num_batches=40))
    _, cut = searched(tmp_path, RateRange(num_batches=40, stopping_factor=1.5))
    assert (whole.ending, cut.ending) == ("all batches are done", "the loss grew too large")
    assert list(cut.losses) == list(whole.losses[: len(cut.losses)])


def test_a_loss_that_is_not_finite_ends_it(tmp_path):
    _, sweep = searched(tmp_path, RateRange(1e-3, 1e38, 60))
    assert sweep.ending == "the loss is not finite"
    assert 10 < len(sweep.losses) < 60 and all(map(math.isfinite, sweep.losses))


def test_a_loss_that_is_not_finite_at_once_is_told(tmp_path):
    with pytest.raises(TrainingError, match=r"^find-lr: step \d+: .*; begin with a smaller --start-lr$"):
        searched(tmp_path, RateRange(1e37, 1e38, 60))


def test_the_suggestions_are_those_of_a_known_curve():
    found = suggestions(valley())
    lowest = min(zip(valley().losses, valley().rates, strict=True))[1]
    assert found["steepest"] == pytest.approx(1e-3, rel=0.15)
    assert found["lowest_over_10"] == pytest.approx(lowest / 10, rel=0.3)


def test_noise_moves_the_suggestions_little():
    clean, noise = valley(), np.random.default_rng(0).normal(0, 0.05, 101)
    noisy = Sweep(clean.rates, list(np.array(clean.losses) + noise), clean.ending)
    assert suggestions(noisy)["steepest"] == pytest.approx(1e-3, rel=0.8)


def test_a_loss_that_only_rises_has_no_suggestion(caplog):
    rising = Sweep([1e-3, 1e-2, 1e-1], [1.0, 2.0, 3.0], "all batches are done")
    with caplog.at_level(logging.WARNING, "bertx"):
        found = suggestions(rising)
    assert (found["steepest"], found["lowest_over_10"]) == (None, None)
    assert caplog.messages == ["find-lr: the loss never fell; try a smaller --start-lr, or more batches"]


def test_smoothing_leaves_a_constant_as_it_is():
    assert Sweep([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], "all batches are done").smoothed == [0.5, 0.5, 0.5]


def test_the_table_has_a_line_for_every_batch():
    sweep = Sweep([0.25, 0.5], [3.0, 3.0], "all batches are done")
    assert as_csv(sweep) == "batch,lr,loss,smoothed_loss\n1,0.25,3.0,3.0\n2,0.5,3.0,3.0\n"


@pytest.mark.parametrize("sweep", [valley(), Sweep([1.0, 2.0, 4.0], [1.0, 1.0, 1.0], "all batches are done")])
def test_the_picture_is_a_png_of_1200_by_675(tmp_path, sweep):
    assert draw(sweep, tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(content[place : place + 4], "big") for place in (16, 20)] == [1200, 675]


def test_without_matplotlib_there_is_a_message_and_no_picture(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with caplog.at_level(logging.WARNING, "bertx"):
        assert not draw(valley(), tmp_path / "a.png")
    assert caplog.messages == ['find-lr: no picture without matplotlib; pip install "bertx[report]"']
    assert list(tmp_path.iterdir()) == []
