from tests.commands import bertx
from tests.tiny import REVIEWS


def test_two_runs_are_compared_in_words_and_on_a_page(trained, tmp_path):
    page = tmp_path / "page.html"
    data = REVIEWS / "test.jsonl"
    done = bertx("compare", trained.run, trained.archive, "--data", data, "--output-file", page)
    words, path = done.out.splitlines()
    assert (done.status, path) == (0, str(page))
    assert words.startswith(f"On {data}, accuracy is ")
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_a_run_that_does_not_exist_is_status_four(trained, tmp_path):
    done = bertx("compare", trained.run, tmp_path / "gone", "--data", REVIEWS / "test.jsonl")
    assert (done.status, done.out) == (4, "")
    assert "gone: no such run folder or archive" in done.err


def test_data_that_do_not_exist_are_status_four(trained, tmp_path):
    done = bertx("compare", trained.run, trained.run, "--data", tmp_path / "gone.jsonl")
    assert (done.status, done.out) == (4, "")
    assert "gone.jsonl" in done.err
