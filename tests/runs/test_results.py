import json
import logging

import pytest

from bertx.errors import DataError
from bertx.runs.results import results_table

ONE = {"epoch": 2, "training_duration": "0:00:07", "test_accuracy": 0.75}
TWO = {"epoch": 3, "test_loss": float("nan"), "best_epoch": None}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs, one of them further down, beside a folder without any."""
    monkeypatch.chdir(tmp_path)
    for place, metrics in {"runs/b": ONE, "runs/a/seed-1": TWO}.items():
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "runs" / "c").mkdir()
    return tmp_path / "runs"


def table(runs, *keys, file_name="metrics.json"):
    return results_table([runs.relative_to(runs.parent)], keys or None, file_name).splitlines()


def test_all_numbers_of_all_runs_are_in_the_table(runs):
    assert table(runs) == [
        "model_run,epoch,test_loss,test_accuracy",
        "runs/a/seed-1,3,NaN,N/A",
        "runs/b,2,N/A,0.75",
    ]


def test_only_the_named_keys_are_in_the_table_also_texts(runs):
    assert table(runs, "training_duration", "epoch", "best_epoch") == [
        "model_run,training_duration,epoch,best_epoch",
        "runs/a/seed-1,N/A,3,N/A",
        "runs/b,0:00:07,2,N/A",
    ]


def test_another_file_can_be_read(runs):
    (runs / "b" / "metrics_epoch_0.json").write_text('{"epoch": 0}')
    assert table(runs, file_name="metrics_epoch_0.json") == ["model_run,epoch", "runs/b,0"]


def test_a_broken_file_hides_no_other_run(runs, caplog):
    (runs / "b" / "metrics.json").write_text('{"epoch": ')
    with caplog.at_level(logging.WARNING, "bertx"):
        assert table(runs, "epoch") == ["model_run,epoch", "runs/a/seed-1,3", "runs/b,N/A"]
    assert "metrics.json: cannot be read (Expecting value" in caplog.text


def test_no_run_at_all_is_told(runs):
    message = r"^c: no metrics\.json in or under it; expected folders of finished runs$"
    (runs.parent / "c").mkdir()
    with pytest.raises(DataError, match=message):
        results_table([(runs.parent / "c").relative_to(runs.parent)], None, "metrics.json")


def test_a_folder_that_does_not_exist_is_told(runs):
    with pytest.raises(DataError, match=r"gone: no such folder; the current folder is "):
        results_table([runs, runs / "gone"], None, "metrics.json")
