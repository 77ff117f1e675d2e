import json
import re

import pytest

from bertx.ablation.outcome import read_outcome, write_outcome
from bertx.ablation.results.comparison import study_results
from bertx.ablation.results.tables import metric_decimals, write_tables
from bertx.report.study.flips import flips_section
from bertx.report.study.page import write_study_page
from bertx.report.study.words import summary
from tests.ablation.results.made_study import make_study
from tests.report.pages import read_page

HOSTILE = "<script>alert(1)</script>"
VARIANTS = {"base": 0.85, "same": 0.85, HOSTILE: 0.65}
MANY_LABELS = [f"label {number}" for number in range(14)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    make_study(folder, VARIANTS, failed=[("same", 2)], degenerate=[("base", 3)])
    return study_results(folder)


@pytest.fixture(scope="module")
def page(results):
    return read_page(write_study_page(results))


def page_of(folder):
    return read_page(write_study_page(study_results(folder)))


def test_a_page_fetches_nothing_and_runs_nothing(page):
    assert page.fetched == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)


def test_hostile_names_are_text(page):
    assert HOSTILE in page.text


def test_all_sections_are_there(results):
    heads = re.findall(r"<h2>(.*?)</h2>", (results.folder / "report.html").read_text())
    assert heads == [
        "Results",
        "How training went",
        "Changes by class",
        "What is taken for what",
        "Predictions that flip",
        "Cost and quality",
        "How it was computed",
    ]


def test_the_page_shows_all_means_and_intervals(page, results):
    for variant in results.variants:
        for metric, cell in variant.cells.items():
            digits, interval = metric_decimals(results, metric), cell.summary.estimate.interval()
            ends = f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
            assert f"{cell.summary.mean:.{digits}f} {ends}".replace("-", "\u2212") in page.text


def test_the_page_shows_all_differences(page, results):
    for variant in results.variants[1:]:
        found, digits = variant.cells["accuracy"].against.difference, metric_decimals(results, "accuracy")
        interval = found.interval()
        ends = f"[{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"
        assert f"{found.value:+.{digits}f} {ends}".replace("-", "\u2212") in page.text


def test_failed_and_degenerate_runs_are_named(page):
    assert "same: seed 2 failed (the loss is nan; lower the <rate>)" in page.text
    assert 'base, seed 3 is degenerate: predicts "negative" for every instance' in page.text


def test_the_summary_says_what_was_shown_and_what_was_not(tmp_path):
    make_study(tmp_path, {"base": 0.85, "same": 0.85, "weak": 0.6})
    told = summary(study_results(tmp_path))
    assert told.startswith(
        "3 variants with 5 seeds each: 15 of 15 runs finished. What decides is accuracy on the test data; "
        "higher is better. Shown to be worse than base: weak (\u2212"
    )
    assert "No difference to base shown: same (" in told
    assert "That is not the same as being equal" in told


def test_equal_studies_give_equal_pages(results, tmp_path):
    first = (results.folder / "report.html").read_bytes()
    assert write_study_page(results, tmp_path / "again.html").read_bytes() == first


def test_texts_are_shown_beside_their_ids(results):
    key = results.variants[0].runs[0].keys
    texts = dict.fromkeys(key, f"hello {HOSTILE}")
    shown = "".join(flips_section(results, texts).itertext())
    assert f"hello {HOSTILE}" in shown
    assert "The texts are not shown" not in shown


def test_flips_count_up_to_the_runs_of_each_variant(results):
    section = flips_section(results, {})
    rows = [["".join(cell.itertext()) for cell in row] for row in section.iter("tr")][1:]
    for _, _, flips, base, same, _ in rows:
        assert re.fullmatch(r"[1-7]/7", flips)  # base has 4 sound seeds; of these same has 3, the other 4
        assert [sum(map(int, re.findall(r"\d+", cell))) for cell in (base, same)] == [4, 4]


def test_many_labels_are_lists_instead_of_matrices(tmp_path):
    make_study(tmp_path, VARIANTS, gold=MANY_LABELS * 12, seeds=[1, 2])
    page = page_of(tmp_path)
    assert "The 10 kinds of errors whose number changes most" in page.text
    assert "gold labels against predictions" not in page.labels


def test_parts_of_the_data_make_a_learning_curve(tmp_path):
    make_study(tmp_path, {"10 %": 0.6, "30 %": 0.7, "100 %": 0.8}, fractions=[0.1, 0.3, 1.0])
    page = page_of(tmp_path)
    assert "From 0.1 to 1 of the training data, accuracy goes from" in page.text
    assert "mean accuracy over part of the training data (logarithmic)" in page.labels


def test_cross_validation_has_a_page(tmp_path):
    make_study(tmp_path, VARIANTS, num_folds=2, seeds=[1, 2])
    assert "Cross-validation: the folds of a seed together make one score." in page_of(tmp_path).text


def test_one_seed_has_a_page(tmp_path):
    make_study(tmp_path, VARIANTS, seeds=[1])
    page = page_of(tmp_path)
    assert "but not other seeds" in page.text
    assert "seeds needed" not in page.text


def test_a_study_of_which_nothing_has_run_has_a_page(tmp_path):
    make_study(tmp_path, VARIANTS, failed=[(name, seed) for name in VARIANTS for seed in range(1, 6)])
    assert "0 of 15 runs finished" in page_of(tmp_path).text


def test_a_study_without_comparison_names_the_best(tmp_path):
    outcome = make_study(tmp_path, {"one": 0.6, "two": 0.9})
    alone = [type(v)(**{**vars(v), "is_comparison": False}) for v in outcome.variants]
    write_outcome(tmp_path, type(outcome)(**{**vars(outcome), "variants": alone}))
    assert re.search(r"that of two, 0\.\d+; no variant is compared to another one\.", page_of(tmp_path).text)


def test_a_search_names_the_best_and_rounds_what_it_tried(tmp_path):
    outcome = make_study(tmp_path, {"base": 0.6, "trial 1": 0.9}, seeds=[1, 2])
    tried = type(outcome.variants[1])(**{**vars(outcome.variants[1]), "changes": {"lr": 0.123456789}})
    variants = [outcome.variants[0], tried]
    write_outcome(tmp_path, type(outcome)(**{**vars(outcome), "design": "search", "variants": variants}))
    page = page_of(tmp_path)
    assert "The best mean is that of trial 1, 0." in page.text
    assert "lr = 0.1235" in page.text


def test_runs_without_logs_and_predictions_have_a_page(tmp_path):
    make_study(tmp_path, VARIANTS)
    for path in tmp_path.glob("runs/*/*.jsonl"):
        path.unlink()
    page = page_of(tmp_path)
    assert "Known per run only, so that intervals cover seeds only: accuracy, loss, words." in page.text
    assert "How training went" not in page.text


def test_the_tables_and_the_page_are_of_one_outcome(results):
    assert write_tables(results.folder).outcome == read_outcome(results.folder)
    assert json.loads((results.folder / "study.json").read_text())["name"] == results.outcome.name


def test_of_many_variants_the_best_are_shown_in_detail(tmp_path):
    make_study(tmp_path, {f"v{number}": 0.5 + number / 50 for number in range(12)}, seeds=[1, 2])
    page = page_of(tmp_path)
    assert "of 12 variants the best and the comparison are shown: 9." in page.text
    assert "and 5 more" in page.text
    assert page.labels.count("training loss (smoothed) over optimizer steps") == 8
