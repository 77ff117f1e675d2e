"""Runs of a study that really train."""

import json

import pytest

from bertx.ablation.running.ablate import ablate
from bertx.ablation.running.runner import RunOptions
from bertx.ablation.running.training import plain_metrics, train_run
from tests.ablation.tiny_study import Inline, plan_of, study_file

ONE = {"factors": {"rate": {"trainer.optimizer.lr": [1e-3]}}, "seeds": [1]}


def trained(path, folder, options=RunOptions()):  # noqa: B008
    return ablate(plan_of(path), folder, Inline(train_run), options=options)[0]


def rows(folder, run):
    lines = (folder / run.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_in_cross_validation_every_training_instance_is_predicted_once(tmp_path):
    path = study_file(tmp_path / "p", {**ONE, "folds": {"k": 3, "stratify": "label"}})
    outcome = trained(path, tmp_path / "s")
    data = (tmp_path / "p" / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    for variant in outcome.variants:
        assert [run.fold for run in variant.runs] == [0, 1, 2]
        ids = [row["id"] for run in variant.runs for row in rows(tmp_path / "s", run)]
        assert sorted(ids) == sorted(json.loads(line)["id"] for line in data)


def test_a_study_on_test_data_has_their_metrics_and_predictions(tmp_path):
    path = study_file(tmp_path / "p", ONE, test_data_path="data/test.jsonl", evaluate_on_test=True)
    outcome = trained(path, tmp_path / "s")
    run = outcome.variants[0].runs[0]
    metrics = json.loads((tmp_path / "s" / run.folder / "metrics.json").read_text())
    found = rows(tmp_path / "s", run)
    assert (len(found), outcome.evaluated_on) == (296, "test")
    assert run.metrics["accuracy"] == metrics["test_accuracy"]
    assert not (tmp_path / "s" / run.folder / "checkpoints").exists()  # nobody goes on with a finished run
    assert run.metrics["accuracy"] == sum(row["gold"] == row["prediction"] for row in found) / 296


def test_parts_of_the_data_have_runs_of_their_length(tmp_path):
    study = {"design": "data_fraction", "fractions": [0.25, 1], "stratify": "label", "seeds": [1]}
    outcome = trained(study_file(tmp_path / "p", study), tmp_path / "s")
    sizes = []
    for variant in outcome.variants:
        log = (tmp_path / "s" / variant.runs[0].folder / "metrics.jsonl").read_text().splitlines()
        sizes.append(max(line["step"] for line in map(json.loads, log) if line["kind"] == "step"))
    assert sizes == [1, 3]
    assert [variant.fraction for variant in outcome.variants] == [0.25, 1]


def test_what_a_run_costs_is_noted(tmp_path):
    run = trained(study_file(tmp_path / "p", ONE), tmp_path / "s").variants[0].runs[0]
    assert run.num_parameters == run.num_trainable_parameters == 282530
    assert 0 < run.seconds < 60
    assert 10**8 < run.peak_memory_bytes < 10**11


def test_a_run_whose_numbers_failed_begins_anew_if_asked(tmp_path):
    wild = {"trainer.optimizer.lr": 1e30, "trainer.max_skipped_steps": 1}
    path = study_file(tmp_path / "p", {**ONE, "factors": {"rate": wild}})
    outcome = trained(path, tmp_path / "s")
    assert [variant.runs[0].status for variant in outcome.variants] == ["finished", "failed"]
    assert "the loss is nan" in outcome.variants[1].runs[0].error
    again = trained(path, tmp_path / "s", RunOptions(retry_failed=True))
    assert again.variants[1].runs[0].status == "failed"
    assert len(list((tmp_path / "s" / "runs").glob("rate*"))) == 2  # the first one was moved aside


@pytest.mark.parametrize(("split", "value"), [("validation", 0.5), ("test", 0.75)])
def test_metrics_have_plain_names(split, value):
    found = {"best_validation_accuracy": 0.5, "test_accuracy": 0.75, "training_duration": "0:01", "epoch": 1}
    assert plain_metrics(found, split) == {"accuracy": value}
