"""Studies whose runs are processes: killed planners, two at once, and equal results however they ran."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from bertx.ablation.outcome import read_outcome
from bertx.ablation.running.ablate import ablate
from bertx.ablation.running.runner import RunOptions
from bertx.ablation.running.training import train_run
from tests.ablation.planner import pretend_study
from tests.ablation.tiny_study import Inline, plan_of, study_file
from tests.processes import REPOSITORY

THREE_FACTORS = {
    "dropout": {"model.dropout": [0.2]},
    "epochs": {"trainer.num_epochs": [2]},
    "rate": {"trainer.optimizer.lr": [1e-3]},
}
STUDY = {"factors": THREE_FACTORS, "seeds": [1, 2, 3, 4, 5]}
ALL = [f"{name}, seed {seed}" for name in ("base", *THREE_FACTORS) for seed in STUDY["seeds"]]
SMALL = {
    "factors": {"rate": {"trainer.optimizer.lr": [1e-3]}},
    "seeds": [1, 2],
    "metrics": ["accuracy", "loss"],
}
SECONDS = 120


def start(module, *arguments):
    return subprocess.Popen([sys.executable, "-m", module, *map(str, arguments)], cwd=REPOSITORY)


def wait_until(happened):
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def made(folder):
    return Counter((folder / "made.txt").read_text(encoding="utf-8").splitlines())


def numbers(folder):
    """All that `results.jsonl` says but time and memory."""
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: line[key] for key in line if key not in ("seconds", "peak_memory_bytes")} for line in lines]


def test_after_crashes_and_a_killed_planner_exactly_what_is_missing_is_made(tmp_path, monkeypatch):
    path, folder = study_file(tmp_path / "p", STUDY), tmp_path / "s"
    monkeypatch.setenv("DYING", ALL[0])
    monkeypatch.setenv("CRASHING", ALL[3])
    planner = start("tests.ablation.planner", path, folder)
    wait_until(
        lambda: (
            len(list(folder.glob("failures/*.json"))) == 2 and len(list(folder.glob("runs/*/run.json"))) > 4
        )
    )
    planner.send_signal(signal.SIGKILL)
    planner.wait()
    before = sum(made(folder).values())
    counts = pretend_study(path, folder)
    assert (before < len(ALL), counts.finished, counts.failed) == (True, 18, 2)
    assert made(folder) == dict.fromkeys(ALL, 1)
    monkeypatch.delenv("DYING")
    monkeypatch.delenv("CRASHING")
    assert pretend_study(path, folder, RunOptions(retry_failed=True)).finished == 20
    assert {title for title, times in made(folder).items() if times == 2} == {ALL[0], ALL[3]}


def test_two_planners_share_the_work(tmp_path):
    path, folder = study_file(tmp_path / "p", STUDY), tmp_path / "s"
    planners = [start("tests.ablation.planner", path, folder) for _ in range(2)]
    assert [planner.wait(SECONDS) for planner in planners] == [0, 0]
    assert made(folder) == dict.fromkeys(ALL, 1)


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """A study whose runs were made one after the other in this process."""
    place = tmp_path_factory.mktemp("serial")
    path = study_file(place / "p", SMALL)
    ablate(plan_of(path), place / "s", Inline(train_run))
    return path, place / "s"


@pytest.mark.parametrize("workers", [1, 4])
def test_results_do_not_depend_on_the_number_of_workers(serial, tmp_path, workers):
    path, expected = serial
    process = start("bertx", "ablate", path, "-s", tmp_path / "s", "--workers", workers)
    assert process.wait(SECONDS) == 0
    assert numbers(tmp_path / "s") == numbers(expected)
    predictions = [
        [
            (folder / run.folder / "predictions.jsonl").read_bytes()
            for v in read_outcome(folder).variants
            for run in v.runs
        ]
        for folder in (tmp_path / "s", expected)
    ]
    assert predictions[0] == predictions[1]


def test_a_stopped_study_goes_on_to_the_same_results(serial, tmp_path):
    path, expected = serial
    process = start("bertx", "ablate", path, "-s", tmp_path / "s", "--workers", 1)
    wait_until(lambda: any(tmp_path.glob("s/runs/*/metrics.jsonl")))
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 75
    assert start("bertx", "ablate", path, "-s", tmp_path / "s", "--workers", 2).wait(SECONDS) == 0
    assert numbers(tmp_path / "s") == numbers(expected)


def test_the_numbers_of_a_run_are_those_of_its_files(serial):
    _, folder = serial
    for run in [run for variant in read_outcome(folder).variants for run in variant.runs]:
        lines = (folder / run.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        assert run.metrics["accuracy"] == sum(row["gold"] == row["prediction"] for row in rows) / len(rows)
        assert run.metrics["loss"] == pytest.approx(sum(row["loss"] for row in rows) / len(rows), rel=1e-5)
        assert not (folder / run.folder / "model.tar.gz").exists()
