import json
import math

import pytest

from bertx.ablation.results.evidence import Curves, Predictions, faults, read_curves, read_predictions
from bertx.errors import CheckpointError


def write_lines(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_predictions_keep_the_order_of_the_file(tmp_path):
    lines = [
        {"id": "b", "gold": "x", "prediction": "y", "probs": [0.3, 0.7], "logits": [0, 1], "loss": 1.5},
        {"id": "a", "gold": None, "prediction": "x", "probs": [0.6, 0.4], "loss": None},
    ]
    found = read_predictions(write_lines(tmp_path / "predictions.jsonl", *lines))
    assert found == Predictions(["b", "a"], ["x", None], ["y", "x"], [1.5, None], [0.7, 0.6])
    assert found.hits == [False, False]


def test_a_run_without_predictions_has_none(tmp_path):
    assert read_predictions(tmp_path / "predictions.jsonl") is None


def test_a_run_that_predicts_no_labels_has_none(tmp_path):
    assert read_predictions(write_lines(tmp_path / "p.jsonl", {"id": "a", "prediction": None})) is None


def test_broken_predictions_are_an_error(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"id": ')
    with pytest.raises(CheckpointError, match=r"p\.jsonl: cannot be read .*; expected JSON lines"):
        read_predictions(tmp_path / "p.jsonl")


def test_a_line_that_is_no_object_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="line 1 holds no object"):
        read_predictions(write_lines(tmp_path / "p.jsonl", [1]))


def test_curves_come_from_the_lines_of_steps_and_validations(tmp_path):
    step = {"time": 1, "kind": "step", "step": 10, "loss": 0.5, "lr": 1e-4, "grad_norm": 2.0}
    epoch = {"time": 1, "kind": "epoch", "epoch": 0, "training_loss": 0.5}
    validation = {"time": 1, "kind": "validation", "step": 12, "accuracy": 0.75, "loss": 0.4}
    write_lines(tmp_path / "metrics.jsonl", step, validation, epoch)
    assert read_curves(tmp_path) == Curves(
        [(10, 0.5)], [(10, 1e-4)], [(10, 2.0)], {"accuracy": [(12, 0.75)], "loss": [(12, 0.4)]}
    )


def test_a_loss_that_is_null_is_not_finite(tmp_path):
    write_lines(
        tmp_path / "metrics.jsonl", {"kind": "step", "step": 1, "loss": None, "lr": 1, "grad_norm": 1}
    )
    ((step, loss),) = read_curves(tmp_path).losses
    assert step == 1
    assert math.isnan(loss)


def test_a_run_that_gives_one_label_is_degenerate():
    found = Predictions(["0", "1"], ["x", "y"], ["y", "y"])
    assert faults(found, Curves()) == ['predicts "y" for every instance']


def test_a_run_whose_loss_does_not_fall_is_degenerate():
    flat, falling = ([(step, value) for step in range(9)] for value in (0.69, 0.0))
    falling = [(step, 0.7 - 0.05 * step) for step, _ in falling]
    assert faults(None, Curves(flat)) == ["its training loss does not fall"]
    assert faults(None, Curves(falling)) == []


def test_two_losses_say_nothing_of_their_fall():
    assert faults(None, Curves([(1, 0.7), (2, 0.7)])) == []
