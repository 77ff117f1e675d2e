import json
import shutil

from tests.commands import bertx
from tests.tiny import REVIEWS, write_lines

TEST = REVIEWS / "test.jsonl"


def test_folder_and_moved_archive_give_the_metrics_of_training(trained, no_network):
    first, second = (bertx("evaluate", place, TEST) for place in (trained.run, trained.archive))
    assert (first.status, second.status) == (0, 0)
    assert first.out == second.out
    assert first.json["accuracy"] == trained.train.json["test_accuracy"]


def test_metrics_and_predictions_go_to_files(trained, tmp_path):
    files = ("--output-file", tmp_path / "m.json", "--predictions-output-file", tmp_path / "d" / "p.jsonl")
    done = bertx("evaluate", trained.run, TEST, *files)
    assert json.loads((tmp_path / "m.json").read_text()) == done.json
    assert len((tmp_path / "d" / "p.jsonl").read_text().splitlines()) == 296


def test_an_impossible_output_file_is_told_before_the_work(trained, tmp_path):
    done = bertx("evaluate", trained.run, TEST, "--output-file", tmp_path)
    assert (done.status, done.out) == (4, "")
    assert "is a folder; expected the name of a file to write" in done.err


def test_unseen_labels_are_an_error_by_flag(trained, tmp_path):
    data = write_lines(tmp_path / "a.jsonl", {"text": "so so", "label": "neutral"})
    assert bertx("evaluate", trained.run, data).status == 0
    done = bertx("evaluate", trained.run, data, "--unseen-labels", "error")
    assert (done.status, done.out) == (4, "")
    assert "labels that training has not seen: 'neutral' (1)" in done.err


def test_missing_data_are_told_with_a_suggestion(trained, tmp_path):
    shutil.copy(TEST, tmp_path / "test.jsonl")
    done = bertx("evaluate", trained.run, tmp_path / "tets.jsonl")
    assert done.status == 4
    assert 'tets.jsonl: does not exist; did you mean "test.jsonl"?' in done.err


def test_a_batch_size_of_nought_is_status_two(trained):
    done = bertx("evaluate", trained.run, TEST, "--batch-size", "0")
    assert (done.status, "0: expected a number above 0" in done.err) == (2, True)
