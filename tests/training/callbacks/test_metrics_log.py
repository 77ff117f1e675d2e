import math

import orjson
import pytest

from bertx.errors import ConfigError, DataError
from bertx.training.callbacks.metrics_log import MetricsLog
from bertx.training.callbacks.trainer_callback import Step, TrainingContext
from tests.training.tiny import make_model, make_split, make_trainer, records


@pytest.fixture
def context(tmp_path):
    return TrainingContext(make_model(), tmp_path, num_steps=25)


def lines(folder):
    return [orjson.loads(line) for line in (folder / "metrics.jsonl").read_bytes().splitlines()]


def step(number, loss=0.5):
    return Step(number, epoch=0, loss=loss, lr=0.01, grad_norm=None, num_instances=4)


def test_every_tenth_step_and_the_last_are_logged(context):
    log = MetricsLog()
    for number in range(1, 26):
        log.on_step(context, step(number))
    assert [line["step"] for line in lines(context.folder)] == [10, 20, 25]


def test_a_line_holds_time_and_all_of_a_step(context):
    MetricsLog(every=1).on_step(context, step(3))
    (line,) = lines(context.folder)
    assert line.pop("time") > 1.7e9
    assert line == {
        "kind": "step",
        "step": 3,
        "epoch": 0,
        "loss": 0.5,
        "lr": 0.01,
        "grad_norm": None,
        "num_instances": 4,
    }


def test_the_line_of_an_epoch_holds_its_metrics(context):
    MetricsLog().on_epoch(context, {"epoch": 0, "training_loss": math.nan, "training_duration": "0:00:01"})
    (line,) = lines(context.folder)
    del line["time"]
    assert line == {"kind": "epoch", "epoch": 0, "training_loss": None, "training_duration": "0:00:01"}


def test_without_a_folder_nothing_is_written(tmp_path):
    MetricsLog(every=1).on_step(TrainingContext(make_model(), None, 1), step(1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("callbacks", "expected"), [([], [3, "epoch"]), ([1], [1, 2, 3, "epoch"])])
def test_it_is_in_every_training_once(tmp_path, callbacks, expected):
    split = make_split(tmp_path, records(10))
    settings = {"callbacks": [{"type": "metrics_log", "every": every} for every in callbacks]}
    make_trainer(make_model(), split, settings, folder=tmp_path).train()
    assert [line.get("step", line["kind"]) for line in lines(tmp_path)] == expected


def test_every_must_be_positive():
    with pytest.raises(ConfigError, match=r"^metrics_log\.every: 0; expected at least 1 step$"):
        MetricsLog(0)


def test_a_folder_that_is_gone_is_named(tmp_path):
    context = TrainingContext(make_model(), tmp_path / "gone", 1)
    message = r"gone.metrics\.jsonl: cannot be written: No such file or directory$"
    with pytest.raises(DataError, match=message):
        MetricsLog(every=1).on_step(context, step(1))
