import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from bertx.ablation.results.comparison import study_results
from bertx.ablation.results.instances import class_scores, confusion, most_flipped, paired_answers
from tests.ablation.results.made_study import make_study

GOLD = [*"abcab" * 12, "d"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    make_study(folder, {"base": 0.8, "other": 0.6}, gold=GOLD, seeds=[1, 2, 3], degenerate=[("other", 2)])
    return study_results(folder)


def predicted(variant):
    return [run.predictions.predicted for run in variant.runs]


def test_class_scores_are_means_of_those_of_scikit_learn(results):
    _, other = results.variants
    found = class_scores(results.answers(other))
    oracle = np.mean(
        [
            precision_recall_fscore_support(GOLD, guesses, labels=list("abcd"), zero_division=0)[:3]
            for guesses in predicted(other)
        ],
        axis=0,
    )
    assert [(one.label, one.support) for one in found] == [("a", 24), ("b", 24), ("c", 12), ("d", 1)]
    assert (
        pytest.approx(oracle, abs=1e-12) == np.array([(one.precision, one.recall, one.f1) for one in found]).T
    )


def test_confusion_is_the_mean_of_those_of_scikit_learn(results):
    base = results.variants[0]
    oracle = np.mean(
        [confusion_matrix(GOLD, guesses, labels=list("abcd")) for guesses in predicted(base)], axis=0
    )
    assert confusion(results.answers(base)) == pytest.approx(oracle, abs=1e-12)


def test_the_comparison_is_not_paired_with_itself(results):
    base, other = results.variants
    assert paired_answers(results, base) is None
    assert [len(answers.predicted) for answers in paired_answers(results, other)] == [3, 3]


def test_flips_are_counted_against_the_run_of_the_same_seed(results):
    first = most_flipped(results, 1)[0]
    base, other = results.variants
    row = int(first.key[1].removeprefix("test-"))
    pairs = [(predicted(base)[seed][row], predicted(other)[seed][row]) for seed in (0, 2)]  # 1 is degenerate
    assert (first.num_flips, first.num_pairs) == (sum(a != b for a, b in pairs), 2)
    assert first.num_flips == 2
    assert sum(first.votes["base"].values()) == 3
    assert sum(first.votes["other"].values()) == 2


def test_instances_that_never_flip_are_not_listed(results):
    flips = most_flipped(results, 1000)
    assert 0 < len(flips) < len(GOLD)
    counts = [flip.num_flips for flip in flips]
    assert counts == sorted(counts, reverse=True)
    assert min(counts) == 1
