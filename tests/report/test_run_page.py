import json
import shutil

import pytest

from bertx.report.evaluated import evaluated_run
from bertx.report.run_page import write_run_page
from bertx.runs.evaluate import EvaluationRequest, evaluate_files
from bertx.runs.run import load
from tests.report.pages import read_page
from tests.tiny import REVIEWS

TEST = REVIEWS / "test.jsonl"


@pytest.fixture(scope="module")
def page(trained, tmp_path_factory):
    found = evaluated_run(trained.run, TEST)
    return read_page(write_run_page(found, tmp_path_factory.mktemp("page") / "report.html"))


def test_a_page_fetches_nothing_and_runs_nothing(page):
    assert page.fetched == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)


def test_the_page_shows_all_metrics(page, trained):
    for name, value in json.loads((trained.run / "metrics.json").read_text()).items():
        if isinstance(value, float):
            assert f"{value:.4g}" in page.text, name


def test_the_page_shows_the_metrics_of_the_data(page, trained):
    found = evaluate_files(load(trained.run), EvaluationRequest([TEST]))
    assert f"accuracy {found['accuracy']:.3f} [" in page.text


def test_the_page_lists_wrong_predictions_with_their_texts(page, trained):
    found = evaluated_run(trained.run, TEST)
    wrong = sum(not hit for hit in found.evidence.predictions.hits)
    assert f"{wrong} of 296 predictions are wrong" in page.text
    texts = [json.loads(line)["text"] for line in TEST.read_text().splitlines()]
    assert sum(" ".join(text.split()) in page.text for text in texts) == min(wrong, 15)


def test_curves_are_drawn_of_losses_and_metrics(page):
    drawn = [label for label in page.labels if label.endswith("over optimizer steps")]
    assert drawn == [
        f"{name} over optimizer steps"
        for name in ("loss per instance", "accuracy", "learning rate", "gradient norm")
    ]


def test_without_its_data_a_page_says_so(trained, tmp_path):
    found = evaluated_run(trained.run, None)
    page = read_page(write_run_page(found, tmp_path / "report.html"))
    assert found.data is None
    assert "Its data are gone or have changed" in page.text


def test_an_archive_has_a_page_without_curves(trained, tmp_path):
    page = read_page(write_run_page(evaluated_run(trained.archive, TEST), tmp_path / "report.html"))
    assert "How training went" not in page.text
    assert "296 predictions are wrong" in page.text


def test_data_that_have_changed_are_not_shown(trained, tmp_path):
    shutil.copytree(trained.run, tmp_path / "run")
    path = tmp_path / "run" / "environment.json"
    environment = json.loads(path.read_text())
    changed = tmp_path / "test.jsonl"
    changed.write_text(TEST.read_text() + "\n")
    environment["data"]["test"]["files"][0]["path"] = str(changed)
    path.write_text(json.dumps(environment))
    assert evaluated_run(tmp_path / "run", None).data is None
    changed.write_bytes(TEST.read_bytes())
    assert evaluated_run(tmp_path / "run", None).data == changed
