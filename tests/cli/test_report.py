from tests.ablation.results.made_study import make_study
from tests.commands import bertx
from tests.tiny import REVIEWS


def test_a_run_gets_a_page(trained, tmp_path):
    page = tmp_path / "page.html"
    done = bertx("report", trained.run, "--data", REVIEWS / "test.jsonl", "--output-file", page)
    assert (done.status, done.out) == (0, f"{page}\n")
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_a_study_gets_its_page_and_its_tables_anew(tmp_path):
    make_study(tmp_path, {"base": 0.8, "other": 0.7}, seeds=[1, 2])
    done = bertx("report", tmp_path)
    assert (done.status, done.out) == (0, f"{tmp_path / 'report.html'}\n")
    assert sorted(path.name for path in tmp_path.glob("table.*")) == ["table.csv", "table.md", "table.tex"]


def test_a_study_takes_no_other_data(tmp_path):
    make_study(tmp_path, {"base": 0.8}, seeds=[1])
    done = bertx("report", tmp_path, "--data", "x.jsonl")
    assert (done.status, done.out) == (2, "")
    assert "--data: a study is shown on the data its runs were evaluated on; leave it out" in done.err


def test_a_folder_that_is_neither_is_status_four(tmp_path):
    done = bertx("report", tmp_path)
    assert (done.status, done.out) == (4, "")
    assert "not a finished run" in done.err


def test_a_page_that_cannot_be_written_is_an_error_before_anything_is_computed(trained, tmp_path):
    done = bertx("report", trained.run, "--output-file", tmp_path)
    assert (done.status, done.out) == (4, "")
    assert "is a folder; expected the name of a file to write" in done.err
