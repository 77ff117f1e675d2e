import json

from tests.commands import bertx


def test_the_metrics_of_a_run_are_printed_as_csv(trained):
    metrics = json.loads((trained.run / "metrics.json").read_text())
    done = bertx("print-results", trained.run.parent, "-k", "test_accuracy", "best_epoch", "-k", "nothing")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "model_run,test_accuracy,best_epoch,nothing",
        f"{trained.run},{metrics['test_accuracy']},{metrics['best_epoch']},N/A",
    ]


def test_without_keys_all_numbers_are_printed(trained):
    done = bertx("print-results", trained.run, "-m", "metrics_epoch_0.json")
    header, row = done.out.splitlines()
    assert "validation_accuracy" in header.split(",") and "training_duration" not in header
    assert row.split(",")[header.split(",").index("epoch")] == "0"


def test_no_runs_are_status_four(tmp_path):
    done = bertx("print-results", tmp_path)
    assert (done.status, done.out) == (4, "")
