"""A search, with runs that only pretend: their accuracy is best at a dropout of 0.3."""

import json
import sys

import pytest

from bertx.ablation.outcome import read_outcome
from bertx.ablation.running.ablate import Resources
from bertx.ablation.running.job import Record
from bertx.ablation.running.runner import RunOptions
from bertx.ablation.running.search import search
from bertx.errors import ConfigError
from tests.ablation.tiny_study import Inline, plan_of, study_file

SPACE = {
    "model.dropout": {"low": 0.0, "high": 0.9},
    "trainer.optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "trainer.num_epochs": {"low": 1, "high": 2},
    "trainer.patience": [1, None],
}


def study(**search_settings):
    return {"design": "search", "search": {"space": SPACE, "trials": 9, **search_settings}, "seeds": [1, 2]}


def dropout_of(job):
    return json.loads(job.config.read_text(encoding="utf-8"))["model"].get("dropout", 0.1)


def good_at_a_third(job):
    """Pretends to a training of three validations, each as good as the last will be."""
    value = 1 - abs(dropout_of(job) - 0.3)
    job.run_folder.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"kind": "validation", "step": 1, "accuracy": value})
    (job.run_folder / "metrics.jsonl").write_text(f"{line}\n" * 3)
    return Record(job.identity, {"accuracy": value, "loss": 1.0}, 0.5, 1000, 10, 5)


def searched(path, folder, limit=None):
    executor = Inline(good_at_a_third)
    _, counts = search(
        plan_of(path), folder, executor, options=RunOptions(limit=limit), resources=Resources()
    )
    return executor.made, counts


def trials(folder):
    return {variant.name: variant.changes for variant in read_outcome(folder).variants}


def test_every_trial_is_a_variant_with_a_run_for_each_seed(tmp_path):
    made, counts = searched(study_file(tmp_path / "p", study()), tmp_path / "s")
    found = trials(tmp_path / "s")
    assert list(found) == ["base", *(f"trial {number}" for number in range(1, 10))]
    assert (len(made), counts.finished, counts.failed) == (20, 20, 0)
    assert 0 <= found["trial 1"]["model.dropout"] <= 0.9
    assert found["trial 1"]["trainer.patience"] in (1, None)


def test_the_same_seed_makes_the_same_choices_and_another_others(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        searched(study_file(tmp_path / f"p{name}", study(seed=seed)), tmp_path / name)
    assert trials(tmp_path / "a") == trials(tmp_path / "b") != trials(tmp_path / "c")


def test_an_interrupted_search_goes_on_to_the_same_trials(tmp_path):
    path = study_file(tmp_path / "p", study())
    searched(path, tmp_path / "whole")
    first, _ = searched(path, tmp_path / "s", limit=5)
    second, _ = searched(path, tmp_path / "s")
    assert trials(tmp_path / "s") == trials(tmp_path / "whole")
    assert len(set(first)) + len(set(second)) == 20


def test_a_search_gets_better(tmp_path):
    searched(study_file(tmp_path / "p", study(trials=30, at_once=1)), tmp_path / "s")
    values = [abs(changes["model.dropout"] - 0.3) for changes in list(trials(tmp_path / "s").values())[1:]]
    assert sum(values[-10:]) < sum(values[:10])


def test_trials_that_are_worse_than_the_median_are_not_told_of(tmp_path, monkeypatch):
    told = []
    path = study_file(tmp_path / "p", study(trials=12, at_once=1))
    import optuna

    tell = optuna.Study.tell

    def note(self, trial, values=None, state=None):
        told.append(values)
        return tell(self, trial, values, state)

    monkeypatch.setattr(optuna.Study, "tell", note)
    searched(path, tmp_path / "s")
    assert None in told
    assert None not in told[:5]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"model.dropuot": [0.1, 0.2]},
            r'study.jsonnet:4: model.dropuot: unknown key; did you mean "dropout"',
        ),
        ({"model.dropout": {"low": 0, "hgih": 1}}, 'unknown key "hgih"; did you mean "high"'),
        ({"model.dropout": {"low": 0.5, "high": 0.5}}, "low is 0.5 and high 0.5; expected two numbers"),
        (
            {"model.dropout": {"low": 0, "high": 0.5, "log": True}},
            "log does not go with a step, nor with a low",
        ),
        ({"model.dropout": {"low": 0, "high": 0.5, "step": 0}}, "step is 0; expected a number above 0"),
        ({"model.dropout": {"low": 0.1, "high": 0.5, "log": "yes"}}, 'log is "yes"; expected true or false'),
        ({"model.dropout": [0.1]}, r"\[0.1\]; expected a list of two or more values"),
        ({"trainer.patience": ["few", 3]}, 'trainer.patience: expected a whole number, got "few"'),
        ({}, "search.space: is empty"),
    ],
)
def test_a_bad_space_is_refused(tmp_path, space, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(study_file(tmp_path / "p", study(space=space)))


def test_a_missing_optuna_is_told(tmp_path, monkeypatch):
    plan = plan_of(study_file(tmp_path / "p", study()))
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r'optuna is missing; pip install "bertx\[search\]"'):
        search(plan, tmp_path / "s", Inline(good_at_a_third), options=RunOptions(), resources=Resources())
