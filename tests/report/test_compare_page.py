import json
import shutil

import pytest
from safetensors.torch import load_file, save_file
from scipy import stats

from bertx.ablation.statistics.mcnemar import mcnemar_mid_p
from bertx.errors import DataError
from bertx.report.compare_page import compare_runs
from bertx.report.evaluated import evaluated_run
from tests.report.pages import read_page
from tests.tiny import REVIEWS

TEST = REVIEWS / "test.jsonl"


@pytest.fixture(scope="module")
def other(trained, tmp_path_factory):
    """A run whose classifier says the opposite, and whose config differs."""
    folder = tmp_path_factory.mktemp("other") / "run"
    shutil.copytree(trained.run, folder)
    weights = folder / "best" / "model.safetensors"
    tensors = load_file(weights)
    tensors["classifier.weight"] = -tensors["classifier.weight"]
    tensors["classifier.bias"] = -tensors["classifier.bias"]
    save_file(tensors, weights)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"lr": 0.003', '"lr": 0.004'))
    return folder


def test_a_run_is_compared_with_its_opposite(trained, other, tmp_path):
    told = compare_runs(trained.run, other, tmp_path / "c.html", data=TEST)
    hits = sum(evaluated_run(trained.run, TEST).evidence.predictions.hits)
    p_value = mcnemar_mid_p(296 - hits, hits)
    fewer = min(hits, 296 - hits)
    oracle = 2 * stats.binom.cdf(fewer, 296, 0.5) - stats.binom.pmf(fewer, 296, 0.5)
    assert p_value == pytest.approx(oracle, abs=1e-9)
    assert f"accuracy is {1 - hits / 296:.3f}" in told
    assert ("(McNemar: p < 0.001)" in told) == (p_value < 0.001)


def test_the_page_shows_what_differs(trained, other, tmp_path):
    compare_runs(trained.run, other, tmp_path / "c.html", data=TEST)
    page = read_page(tmp_path / "c.html")
    assert "trainer.optimizer.lr: 0.003 -> 0.004" in page.text
    assert "metrics: the same" in page.text
    assert "Weights: 2 of" in page.text
    assert page.fetched == []


def test_the_page_lists_instances_on_which_the_runs_disagree(trained, other, tmp_path):
    compare_runs(trained.run, other, tmp_path / "c.html", data=TEST)
    first = json.loads(TEST.read_text().splitlines()[0])["text"]
    assert first in read_page(tmp_path / "c.html").text  # all disagree


def test_a_run_does_not_differ_from_itself(trained, tmp_path):
    told = compare_runs(trained.run, trained.run, tmp_path / "c.html", data=TEST)
    assert "a difference of +0.00" in told
    assert "No difference shown, which does not mean that there is none (McNemar: p = 1.00)" in told


def test_without_data_there_is_an_error(trained, tmp_path):
    with pytest.raises(DataError, match="gone or have changed; name others with --data FILE"):
        compare_runs(trained.run, trained.run, tmp_path / "c.html")
