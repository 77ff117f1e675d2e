"""Every number of a study's table, computed a second time from the files of its runs, with SciPy alone."""

import csv
import io
import json

import numpy as np
import pytest
from scipy import stats

from bertx.ablation.results.tables import write_tables
from tests.ablation.results.made_study import make_study

VARIANTS = {"base": 0.85, "alike": 0.85, "weak": 0.65, "better": 0.9}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    make_study(folder, VARIANTS, failed=[("weak", 2)])
    write_tables(folder)
    return folder


def table_of(folder):
    rows = csv.DictReader(io.StringIO((folder / "table.csv").read_text()))
    return {(row["variant"], row["metric"]): row for row in rows}


def measured(folder, variant, metric):
    """Returns by seed what each instance gives to a metric, or the score alone."""
    found = {}
    for line in map(json.loads, (folder / "results.jsonl").read_text().splitlines()):
        if line["variant"] != variant or line["status"] != "finished":
            continue
        found[line["seed"]] = (
            [line["metrics"]["words"]] if metric == "words" else values(folder, line, metric)
        )
    return found


def values(folder, run, metric):
    """Returns what each prediction of a run gives to a metric."""
    text = (folder / run["folder"] / "predictions.jsonl").read_text()
    instances = [json.loads(one) for one in text.splitlines()]
    if metric == "accuracy":
        return [float(one["gold"] == one["prediction"]) for one in instances]
    return [one["loss"] for one in instances]


def mean_squares(values):
    """Returns those of the two-way analysis of variance: of seeds, instances, rest."""
    seeds, instances = values.shape
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    of_seeds = instances * np.sum((rows - values.mean()) ** 2) / (seeds - 1)
    of_instances = seeds * np.sum((columns - values.mean()) ** 2) / max(instances - 1, 1)
    total = np.sum((values - values.mean()) ** 2)
    rest = total - of_seeds * (seeds - 1) - of_instances * max(instances - 1, 1)
    return of_seeds, of_instances, rest / max((seeds - 1) * (instances - 1), 1)


def crossed(values, added=()):
    """Returns middle, standard error and degrees of freedom of a mean over seeds and instances."""
    values = np.array(values)
    true_instances = values.shape[1]
    values = np.column_stack([values, *(np.full(len(values), number) for number in added)])
    seeds, instances = values.shape
    of_seeds, of_instances, rest = mean_squares(values)
    by_seeds = of_seeds / values.size
    by_instances = max(of_instances - rest, 0) / values.size if instances > 1 else 0.0
    variance = by_seeds + by_instances
    freedom = variance / (by_seeds / (seeds - 1) + by_instances / max(true_instances - 1, 1))
    return values.mean(), np.sqrt(variance), freedom


def interval(middle, error, freedom):
    reach = stats.t.ppf(0.975, freedom) * error
    return [middle - reach, middle + reach]


def p_value(middle, error, freedom):
    return 2 * stats.t.sf(abs(middle) / error, freedom)


def paired(folder, variant, metric):
    """Returns the differences of the seeds that both have, (seeds, instances)."""
    ours, base = measured(folder, variant, metric), measured(folder, "base", metric)
    return np.array([np.subtract(ours[seed], base[seed]) for seed in ours])


def numbers(row, *names):
    return [float(row[name]) for name in names]


@pytest.mark.parametrize("metric", ["accuracy", "loss", "words"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_means_and_intervals(folder, variant, metric):
    values = np.array(list(measured(folder, variant, metric).values()))
    row, scores = table_of(folder)[variant, metric], values.mean(axis=1)
    added = (1, 1, 0, 0) if metric == "accuracy" else ()  # Agresti and Coull
    assert numbers(row, "mean", "standard_deviation") == pytest.approx(
        [scores.mean(), scores.std(ddof=1)], rel=1e-8
    )
    assert numbers(row, "low", "high") == pytest.approx(interval(*crossed(values, added)), rel=1e-8)
    assert int(row["seeds"]) == len(scores) == 5 - (variant == "weak")


@pytest.mark.parametrize("metric", ["accuracy", "loss", "words"])
@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "base"])
def test_differences(folder, variant, metric):
    values = paired(folder, variant, metric)
    row, by_seed = table_of(folder)[variant, metric], values.mean(axis=1)
    added = (1 / len(values), -1 / len(values)) if metric == "accuracy" else ()  # Bonett and Price
    found = crossed(values, added)
    ends = numbers(row, "difference_low", "difference_high")
    assert ends == pytest.approx(interval(*found), rel=1e-8)
    assert numbers(row, "difference", "p_value", "cohens_d") == pytest.approx(
        [by_seed.mean(), p_value(*found), by_seed.mean() / by_seed.std(ddof=1)], rel=1e-8
    )
    assert float(row["probability_of_improvement"]) == np.mean(by_seed > 0) + np.mean(by_seed == 0) / 2


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "base"])
def test_exchanges_within_instances(folder, variant):
    by_instance = paired(folder, variant, "accuracy").mean(axis=0)
    flipped = stats.permutation_test(
        (by_instance,), np.mean, permutation_type="samples", n_resamples=20_000, rng=3
    )
    row = table_of(folder)[variant, "accuracy"]
    assert float(row["permutation_p_value"]) == pytest.approx(flipped.pvalue, abs=0.015)


def test_corrections_verdicts_and_seeds_needed(folder):
    rows = {name: row for (name, metric), row in table_of(folder).items() if metric == "accuracy"}
    tested = sorted((name for name in rows if name != "base"), key=lambda name: float(rows[name]["p_value"]))
    corrected = 0.0
    for place, name in enumerate(tested):
        row = rows[name]
        corrected = max(corrected, min(1.0, (len(tested) - place) * float(row["p_value"])))
        assert float(row["adjusted_p_value"]) == pytest.approx(corrected, rel=1e-8)
        side = "better" if float(row["difference"]) > 0 else "worse"
        assert row["verdict"] == (side if corrected < 0.05 else "no difference shown")
    assert {row["verdict"] for row in rows.values()} >= {"worse", "no difference shown"}
    assert rows["alike"]["seeds_needed"] == seeds_needed(folder, "alike")


def seeds_needed(folder, variant):
    """Counts seeds until a difference as large as the one found would be shown four times in five."""
    values = paired(folder, variant, "accuracy")
    added = np.array([[1, -1]] * len(values)) / len(values)
    values, instances = np.concatenate([values, added], axis=1), values.shape[1]
    of_seeds, of_instances, rest = mean_squares(values)
    one_seed, by_instances = of_seeds / values.shape[1], max(of_instances - rest, 0) / values.size
    difference = abs(paired(folder, variant, "accuracy").mean())
    for seeds in range(2, 10_001):
        by_seeds = one_seed / seeds
        variance = by_seeds + by_instances
        freedom = variance / (by_seeds / (seeds - 1) + by_instances / (instances - 1))
        least, shift = stats.t.ppf(0.975, freedom), difference / np.sqrt(variance)
        if stats.nct.sf(least, freedom, shift) + stats.nct.cdf(-least, freedom, shift) >= 0.8:
            return str(seeds)
    return ""
