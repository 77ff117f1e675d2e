import orjson
import pytest
import torch

from bertx.errors import ConfigError
from bertx.training.callbacks.parameter_statistics import ParameterStatistics, statistics
from tests.training.callbacks.following import context, play_twice, step
from tests.training.tiny import make_model


def lines(folder):
    return [orjson.loads(line) for line in (folder / "parameter_statistics.jsonl").read_bytes().splitlines()]


def learn(model, rate=0.1):
    """Makes a step of plain gradient descent with gradients of 1, 2, 3, ..."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.grad = torch.arange(1.0, parameter.numel() + 1).view_as(parameter)
            parameter -= rate * parameter.grad


def test_the_numbers_are_those_of_weights_gradients_and_their_update():
    model = make_model()
    before = {name: weights.detach().clone() for name, weights in model.named_parameters()}
    learn(model)
    weights, old = model.classifier.weight.detach(), before["classifier.weight"]
    gradient = torch.arange(1.0, 25.0)
    assert statistics(model, before)["classifier.weight"] == pytest.approx(
        {
            "mean": float(weights.mean()),
            "std": float(weights.flatten().std(correction=0)),
            "gradient_mean": 12.5,
            "gradient_std": (sum((n - 12.5) ** 2 for n in range(1, 25)) / 24) ** 0.5,
            "update_ratio": 0.1 * float(gradient.norm() / old.norm()),
        },
        rel=1e-5,
    )


def test_every_so_many_steps_all_trained_parameters_are_written(tmp_path):
    where, callback = context(tmp_path), ParameterStatistics(every=4)
    where.model.classifier.bias.requires_grad_(False)
    callback.on_start(where)
    for number in range(1, 11):
        learn(where.model)
        callback.on_step(where, step(number))
    trained = {name for name, weights in where.model.named_parameters() if weights.requires_grad}
    assert [line["step"] for line in lines(tmp_path)] == [4, 8]
    assert (
        lines(tmp_path)[1]["parameters"].keys()
        == trained
        == dict(where.model.named_parameters()).keys() - {"classifier.bias"}
    )


def test_the_update_is_that_of_the_measured_step_alone(tmp_path):
    where, callback = context(tmp_path), ParameterStatistics(every=2)
    weight = where.model.classifier.weight
    callback.on_start(where)
    learn(where.model)
    callback.on_step(where, step(1))
    norm = float(weight.detach().norm())
    learn(where.model, rate=0.01)
    callback.on_step(where, step(2))
    ratio = lines(tmp_path)[0]["parameters"]["classifier.weight"]["update_ratio"]
    assert ratio == pytest.approx(0.01 * 70.0 / norm, rel=1e-4)  # 1² + 2² + ... + 24² = 70²


def test_the_first_step_can_be_measured_also_of_a_resumed_training(tmp_path):
    where, callback = context(tmp_path, first_step=3), ParameterStatistics(every=4)
    callback.on_start(where)
    learn(where.model)
    callback.on_step(where, step(4))
    assert lines(tmp_path)[0]["parameters"]["classifier.weight"]["update_ratio"] > 0


def test_a_skipped_step_is_not_measured(tmp_path):
    where, callback = context(tmp_path), ParameterStatistics(every=1)
    callback.on_start(where)
    callback.on_step(where, step(1, skipped="the loss is nan"))
    assert list(tmp_path.iterdir()) == []


def test_a_parameter_without_a_gradient_has_null_for_it(tmp_path):
    where, callback = context(tmp_path), ParameterStatistics(every=1)
    callback.on_start(where)
    callback.on_step(where, step(1))
    found = lines(tmp_path)[0]["parameters"]["classifier.weight"]
    assert (found["gradient_mean"], found["gradient_std"], found["update_ratio"]) == (None, None, 0.0)


def test_what_has_just_been_unfrozen_waits_for_the_next_line(tmp_path):
    where, callback = context(tmp_path), ParameterStatistics(every=1)
    where.model.classifier.bias.requires_grad_(False)
    callback.on_start(where)
    for number in (1, 2):
        where.model.classifier.bias.requires_grad_(True)
        callback.on_step(where, step(number))
    assert ["classifier.bias" in line["parameters"] for line in lines(tmp_path)] == [False, True]


@pytest.mark.parametrize("validated", [False, True])
def test_a_resumed_training_has_every_line_once(tmp_path, validated):
    play_twice(lambda: ParameterStatistics(every=2), tmp_path, validated=validated)
    assert [line["step"] for line in lines(tmp_path)] == [2, 4, 6, 8, 10]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where, callback = context(None), ParameterStatistics(every=1)
    callback.on_start(where)
    callback.on_step(where, step(1))
    assert list(tmp_path.iterdir()) == []


def test_every_must_be_positive():
    with pytest.raises(ConfigError, match=r"^parameter_statistics\.every: 0; expected at least 1 step$"):
        ParameterStatistics(every=0)
