import json
import os
import subprocess
import sys

import pytest

from tests.commands import bertx
from tests.tiny import REVIEWS, config, workplace

TEST = REVIEWS / "test.jsonl"


def test_an_archive_becomes_an_onnx_file_and_its_figures_are_printed(trained, tmp_path):
    command = ("export", trained.archive, tmp_path / "exported", "--to", "onnx", "--int8", "--data", TEST)
    # Another process: what libraries print at their first use is seen here, too.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "bertx", *map(str, command)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["rows"], report["label_agreement"]) == (296, 1.0)
    assert report["largest_logit_difference"] <= 1e-5
    assert sorted(report["int8"]) == [
        "accuracy",
        "accuracy_before",
        "accuracy_change",
        "label_agreement",
        "largest_logit_difference",
    ]
    assert {
        "README.md",
        "config.json",
        "model.int8.onnx",
        "model.onnx",
        "tokenizer.json",
        "vocab.txt",
    } <= set(os.listdir(tmp_path / "exported"))


def test_the_data_of_the_run_are_compared_on_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = workplace(tmp_path / "place", config(trainer__num_epochs=1))
    assert bertx("train", path, "-s", "run").status == 0
    done = bertx("export", "run", "exported", "--to", "hf")
    assert done.json["rows"] == 296 + 296
    assert done.json["compared_on"] == "place/data/dev.jsonl, place/data/test.jsonl"
    assert done.json["largest_logit_difference"] == 0.0


def refused(status, message, folder, *arguments):
    """Asserts that an export is refused, and leaves nothing in the folder."""
    before = sorted(folder.rglob("*"))
    done = bertx("export", *arguments)
    assert (done.status, done.out) == (status, "")
    assert message in done.err
    assert sorted(folder.rglob("*")) == before


def test_a_difference_is_status_five_and_leaves_nothing(trained, tmp_path):
    message = "(accepted: -1), and 100.00% of the labels agree (accepted: 100%); nothing was written"
    command = (trained.run, tmp_path / "out", "--to", "hf", "--data", TEST, "--tolerance", "-1")
    refused(5, message, tmp_path, *command)


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--to", "tensorflow"), 2, "invalid choice: 'tensorflow' (choose from"),
        ((), 2, "the following arguments are required: --to"),
        (("--to", "hf", "--int8"), 2, "--int8: is for --to onnx, not for --to hf; leave it out"),
        (("--to", "hf"), 4, "are not here; give --data FILE with 256 rows or more"),
        (("--to", "hf", "--data", "none.jsonl"), 4, "none.jsonl: does not exist"),
    ],
)
def test_an_impossible_wish_is_refused(trained, tmp_path, options, status, message):
    refused(status, message, tmp_path, trained.run, tmp_path / "out", *options)


def test_eight_bits_need_labels(trained, tmp_path):
    texts = [json.dumps({"text": "good " * (1 + number % 9)}) for number in range(256)]
    (tmp_path / "texts.jsonl").write_text("\n".join(texts))
    command = (trained.run, tmp_path / "out", "--to", "onnx", "--int8", "--data", tmp_path / "texts.jsonl")
    refused(4, "texts.jsonl: not all rows have labels; --int8 reports", tmp_path, *command)


def test_a_folder_that_is_there_is_left_alone(trained, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    message = "out: is there already; choose another folder, or move this one away"
    refused(2, message, tmp_path, trained.run, tmp_path / "out", "--to", "hf", "--data", TEST)


def test_a_run_without_a_classifier_is_refused(tmp_path):
    made = config(
        model={**config()["model"], "type": "masked_language_model"},
        data_loader__collator="masked_language_model",
        trainer={"num_epochs": 1, "optimizer": {"type": "adamw", "lr": 1e-3}},
        evaluate_on_test=False,
    )
    path = workplace(tmp_path / "place", made)
    assert bertx("train", path, "-s", tmp_path / "run", "--limit", "8").status == 0
    message = 'the model of this run is "masked_language_model", which is no classifier of texts; bertx'
    refused(2, message, tmp_path, tmp_path / "run", tmp_path / "out", "--to", "hf", "--data", TEST)
