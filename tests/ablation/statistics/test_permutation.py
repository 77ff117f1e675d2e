from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bertx.ablation.statistics.mcnemar import mcnemar_exact
from bertx.ablation.statistics.measurements import Sums, class_counts, macro_f1
from bertx.ablation.statistics.permutation import metric_permutation_test, sign_flip_test


def oracle(differences):
    zeros = np.zeros_like(differences)
    return stats.permutation_test(
        (differences, zeros),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue


@pytest.mark.parametrize("num_units", [2, 5, 11])
def test_all_exchanges_of_few_units_are_counted_as_in_scipy(num_units):
    generator = np.random.default_rng(num_units)
    differences = generator.normal(0.5, 1, num_units)
    assert sign_flip_test(differences, generator) == pytest.approx(oracle(differences), abs=1e-9)


def test_ties_and_zeros_are_counted_as_in_scipy():
    differences = np.array([0.2, -0.2, 0.2, 0.0, 0.4, 0.2, 0.0, 0.6, -0.2])
    assert sign_flip_test(differences, np.random.default_rng(0)) == pytest.approx(
        oracle(differences), abs=1e-9
    )


def test_with_one_seed_of_correctness_it_is_mcnemars_exact_test():
    differences = np.array([1.0] * 9 + [-1.0] * 3 + [0.0] * 500)
    p_value = sign_flip_test(differences, np.random.default_rng(0))
    assert p_value == pytest.approx(mcnemar_exact(9, 3), abs=1e-12)


def test_drawn_exchanges_come_close_to_all_of_them():
    differences = np.random.default_rng(4).normal(0.4, 1, 13)
    drawn = sign_flip_test(differences, np.random.default_rng(0), num_draws=8000)
    assert drawn == pytest.approx(oracle(differences), abs=0.015)


def test_five_seeds_cannot_reach_five_percent():
    assert sign_flip_test(np.array([3.0, 4.0, 5.0, 3.5, 4.5]), np.random.default_rng(0)) == 0.0625


def test_no_difference_has_p_one():
    assert sign_flip_test(np.zeros(20), np.random.default_rng(0)) == 1.0


def test_the_least_p_value_of_drawn_exchanges_counts_the_observed_one():
    assert sign_flip_test(np.ones(200), np.random.default_rng(0), num_draws=99) == 0.01


def test_equal_generators_draw_equal_p_values():
    differences = np.random.default_rng(7).normal(0.02, 1, 3000)
    first, second = (sign_flip_test(differences, np.random.default_rng(1)) for _ in range(2))
    assert first == second


def predictions_of(generator, gold, accuracy, num_seeds=3):
    guesses = generator.integers(0, 3, (num_seeds, len(gold)))
    return np.where(generator.random(guesses.shape) < accuracy, gold, guesses)


def test_a_metric_that_is_a_mean_has_the_p_value_of_flipped_signs():
    generator = np.random.default_rng(8)
    right, base = generator.integers(0, 2, (2, 3, 200)).astype(np.float64)
    one, two = (Sums(table[..., None], lambda totals: totals[..., 0]) for table in (right, base))
    by_metric = metric_permutation_test(one, two, generator)
    assert by_metric == pytest.approx(sign_flip_test((right - base).mean(axis=0), generator), abs=0.02)


def test_exchanges_of_f1_equal_exchanged_predictions():
    generator = np.random.default_rng(9)
    gold = generator.integers(0, 3, 12)
    one, two = predictions_of(generator, gold, 0.9, 1), predictions_of(generator, gold, 0.2, 1)
    counts, base = class_counts(gold, one, 3), class_counts(gold, two, 3)
    scores = []
    for chosen in range(2**12):
        swap = (chosen >> np.arange(12) & 1)[None, :, None].astype(bool)
        pair = np.where(swap, base, counts), np.where(swap, counts, base)
        scores.append(abs(float((macro_f1(pair[0].sum(1)) - macro_f1(pair[1].sum(1)))[0])))
    expected = np.mean(np.array(scores) >= scores[0] - 1e-12)
    found = metric_permutation_test(Sums(counts, macro_f1), Sums(base, macro_f1), generator)
    assert found == pytest.approx(expected, abs=0.015)


def test_equal_predictions_have_p_one():
    generator = np.random.default_rng(0)
    gold = generator.integers(0, 3, 40)
    sums = Sums(class_counts(gold, predictions_of(generator, gold, 0.5), 3), macro_f1)
    assert metric_permutation_test(sums, sums, generator, num_draws=50) == 1.0
