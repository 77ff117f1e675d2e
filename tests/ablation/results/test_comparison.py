import json
import re

import numpy as np
import pytest
from scipy import stats

from bertx.ablation.outcome import read_outcome, write_outcome
from bertx.ablation.results.comparison import study_results
from bertx.ablation.statistics.corrections import holm
from bertx.errors import CheckpointError
from tests.ablation.results.made_study import make_study

VARIANTS = {"base": 0.85, "same": 0.85, "weak": 0.65}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    make_study(folder, VARIANTS)
    return folder


def hits(folder, run):
    lines = [
        json.loads(line) for line in (folder / run.folder / "predictions.jsonl").read_text().splitlines()
    ]
    return np.array([line["gold"] == line["prediction"] for line in lines], dtype=float)


def test_means_and_deviations_are_those_of_the_predictions(study):
    results = study_results(study)
    for variant in results.variants:
        scores = [hits(study, run).mean() for run in variant.outcome.runs]
        summary = variant.cells["accuracy"].summary
        assert summary.mean == pytest.approx(np.mean(scores), abs=1e-12)
        assert summary.standard_deviation == pytest.approx(np.std(scores, ddof=1), abs=1e-12)


def test_differences_are_those_of_the_predictions(study):
    base, same, _ = study_results(study).variants
    ours, theirs = ([hits(study, run).mean() for run in one.outcome.runs] for one in (same, base))
    found = same.cells["accuracy"].against
    assert found.difference.value == pytest.approx(np.mean(ours) - np.mean(theirs), abs=1e-12)
    gaps = np.array(ours) - np.array(theirs)
    assert found.cohens_d == pytest.approx(gaps.mean() / gaps.std(ddof=1), abs=1e-12)


def test_a_metric_known_per_run_only_is_tested_as_by_scipy(study):
    base, same, _ = study_results(study).variants
    ours, theirs = ([run.metrics["words"] for run in one.outcome.runs] for one in (same, base))
    found = same.cells["words"].against
    assert (found.test, found.permutation_p_value) == ("t over seeds", None)
    assert found.p_value == pytest.approx(stats.ttest_rel(ours, theirs).pvalue, abs=1e-9)
    interval, oracle = found.difference.interval(), stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_metrics_are_known_by_instance_where_predictions_give_what_runs_report(study):
    assert study_results(study).by_instance == ["accuracy", "loss"]


def test_a_metric_that_predictions_do_not_give_is_known_per_run_only(tmp_path):
    make_study(tmp_path, VARIANTS)
    path = tmp_path / "results.jsonl"
    path.write_text(re.sub(r'"accuracy": [\d.]+', '"accuracy": 0.123', path.read_text(), count=1))
    assert study_results(tmp_path).by_instance == ["loss"]


def test_verdicts_are_corrected_over_all_variants(study):
    results = study_results(study)
    others = results.variants[1:]
    raw = [variant.cells["accuracy"].against.p_value for variant in others]
    assert [variant.adjusted_p_value for variant in others] == holm(raw)
    assert [variant.verdict for variant in results.variants] == [None, "no difference shown", "worse"]


def test_less_is_better_of_a_loss(tmp_path):
    outcome = make_study(tmp_path, VARIANTS)
    write_outcome(tmp_path, type(outcome)(**{**vars(outcome), "primary": "-loss"}))
    results = study_results(tmp_path)
    assert results.variants[2].cells["loss"].against.difference.value > 0
    assert results.variants[2].verdict == "worse"


def test_failed_runs_are_left_out_with_their_partners(tmp_path):
    make_study(tmp_path, VARIANTS, failed=[("same", 2)])
    base, same, _ = study_results(tmp_path).variants
    assert (base.cells["accuracy"].num_seeds, same.cells["accuracy"].num_seeds) == (5, 4)
    assert same.cells["accuracy"].num_pairs == 4
    assert [run.error for run in same.unfinished] == ["the loss is nan; lower the <rate>"]


def test_degenerate_runs_are_named_and_count(tmp_path):
    make_study(tmp_path, VARIANTS, degenerate=[("same", 3)])
    same = study_results(tmp_path).variants[1]
    assert [run.outcome.seed for run in same.degenerate] == [3]
    assert same.degenerate[0].faults == [
        'predicts "negative" for every instance',
        "its training loss does not fall",
    ]
    assert same.cells["accuracy"].num_seeds == 5


def test_a_seed_counts_only_with_all_of_its_folds(tmp_path):
    make_study(tmp_path, VARIANTS, num_folds=2)
    outcome = read_outcome(tmp_path)
    path = tmp_path / "results.jsonl"
    lines = path.read_text().splitlines()
    lines[0] = lines[0].replace('"finished"', '"missing"')
    path.write_text("\n".join(lines) + "\n")
    base = study_results(tmp_path).variants[0]
    assert (base.cells["accuracy"].num_seeds, len(outcome.variants[0].runs)) == (4, 10)
    assert base.cells["accuracy"].summary.estimate.num_instances == 400


def test_variants_on_other_instances_are_compared_by_seeds_alone(tmp_path):
    make_study(tmp_path, VARIANTS)
    for path in tmp_path.glob("runs/1-*/predictions.jsonl"):
        path.write_text(path.read_text().replace('"id": "test-', '"id": "other-'))
    same, weak = study_results(tmp_path).variants[1:]
    assert same.cells["accuracy"].against.test == "t over seeds"
    assert weak.cells["accuracy"].against.test == "t over seeds and instances"


def test_a_metric_that_is_not_finite_in_one_run_leaves_out_that_seed(tmp_path):
    make_study(tmp_path, VARIANTS)
    path = tmp_path / "results.jsonl"
    path.write_text(re.sub(r'"words": [\d.]+', '"words": NaN', path.read_text(), count=1))
    assert study_results(tmp_path).variants[0].cells["words"].num_seeds == 4


def test_without_a_comparison_nothing_is_compared(tmp_path):
    outcome = make_study(tmp_path, VARIANTS)
    alone = [type(v)(**{**vars(v), "is_comparison": False}) for v in outcome.variants]
    write_outcome(tmp_path, type(outcome)(**{**vars(outcome), "variants": alone}))
    results = study_results(tmp_path)
    assert results.comparison is None
    assert [variant.cells["accuracy"].against for variant in results.variants] == [None] * 3


def test_a_study_of_which_nothing_has_run_has_no_numbers(tmp_path):
    failed = [(name, seed) for name in VARIANTS for seed in range(1, 6)]
    make_study(tmp_path, VARIANTS, failed=failed)
    assert [variant.cells for variant in study_results(tmp_path).variants] == [{}, {}, {}]


def test_a_folder_without_a_study_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="expected the folder of a study"):
        study_results(tmp_path)
