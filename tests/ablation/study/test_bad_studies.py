"""Bad studies: each says what is wrong and where, before anything runs."""

import pytest

from bertx.errors import ConfigError, DataError
from tests.ablation.tiny_study import FACTORS, STUDY, plan_of, study_file, tiny_config, write_study

BAD = {
    "unknown factor key": (
        {"factors": {"dropout": {"model.dropuot": [0.1]}}},
        r'study.jsonnet:3: model.dropuot: unknown key; did you mean "dropout"\?',
    ),
    "empty list": (
        {"factors": {"dropout": {"model.dropout": []}}},
        r"study.jsonnet:3: factors.dropout.model.dropout: an empty list; expected values to try",
    ),
    "wrong type of a level": (
        {"factors": {"dropout": {"model.dropout": [0.1, "much"]}}},
        r'study.jsonnet:3: model.dropout: expected a number.*got "much"',
    ),
    "seeds repeated": ({**STUDY, "seeds": [1, 2, 1]}, r"study.jsonnet:\d: seeds.2: 1 stands there twice"),
    "no seeds": ({**STUDY, "seeds": []}, "seeds: is empty; expected random seeds"),
    "negative seed": ({**STUDY, "seeds": [-1]}, "seeds.0: -1; expected 0 to 4294967295"),
    "unknown primary": (
        {"factors": FACTORS, "primary": "+acuracy"},
        r'study.jsonnet:4: primary: "base" reports no "acuracy"; did you mean "accuracy"\?; it reports: acc',
    ),
    "primary without sign": ({**STUDY, "primary": "accuracy"}, '"accuracy" has no sign; write "\\+accuracy"'),
    "metric nobody computes": ({**STUDY, "metrics": ["f1"]}, 'metrics.0: "base" reports no "f1"'),
    "metric with sign": ({**STUDY, "metrics": ["+loss"]}, 'metrics.0: "\\+loss" has a sign'),
    "metric twice": ({**STUDY, "metrics": ["loss", "loss"]}, 'metrics.1: "loss" stands there twice'),
    "no metrics": ({**STUDY, "metrics": []}, "metrics: is empty"),
    "factor that changes nothing": (
        {"factors": {"rate": {"trainer.optimizer.lr": [1e-3, 3e-3]}}},
        r"factors.rate.trainer.optimizer.lr.1: changes nothing: the base has trainer.optimizer.lr = 0.003",
    ),
    "seed as a factor": (
        {"factors": {"seed": {"random_seed": [5]}}},
        "factors.seed.random_seed.0: changes nothing",
    ),
    "factor of a grid that changes nothing": (
        {"factors": {**FACTORS, "epochs": {"trainer.num_epochs": [1]}}, "design": "grid"},
        "factors.epochs: changes nothing: the base has the same; leave the factor out",
    ),
    "equal variants": (
        {"factors": {"a": {"model.dropout": [0.3]}, "b": {"model.dropout": [0.3]}}},
        '"a" and "b" are equal, and equal runs say nothing; drop one',
    ),
    "unknown comparison": (
        {**STUDY, "compare_to": "bace"},
        r'compare_to: no variant is called "bace"; did you mean "base"\?; there are: base, dropout=0.2',
    ),
    "unknown design": ({**STUDY, "design": "gird"}, r'design: expected.*"grid".*did you mean "grid"\?'),
    "two levels left out": (
        {"factors": FACTORS, "design": "leave_one_out"},
        'factors.dropout: has 2 levels, but the design "leave_one_out" takes one of each factor',
    ),
    "no factors": ({"seeds": [1]}, "factors: there are none; expected what is varied"),
    "empty factor": ({"factors": {"dropout": {}}}, "factors.dropout: is empty"),
    "lists of two lengths": (
        {"factors": {"f": {"model.dropout": [0.1, 0.2], "trainer.num_epochs": [3]}}},
        "its keys vary together, but model.dropout has 2, trainer.num_epochs has 1 values",
    ),
    "object among values": (
        {"factors": {"f": {"trainer.moving_average": {"type": "exponential"}, "trainer.num_epochs": [3]}}},
        "an object among values; write it as a list",
    ),
    "nothing to delete": (
        {"factors": {"f": {"~trainer.patience": True}}},
        'study.jsonnet:3: factors.f.~trainer.patience: nothing to delete: trainer has no "patience"',
    ),
    "deletes what is needed": ({"factors": {"f": {"~model.bert_model": True}}}, '"bert_model" is missing'),
    "one fold": ({**STUDY, "folds": {"k": 1}}, "folds.k: 1; expected 2 or more parts"),
    "fold without k": ({**STUDY, "folds": {"stratify": "label"}}, r'folds: "k" is missing'),
    "no fractions": ({"design": "data_fraction"}, 'fractions: is missing; the design "data_fraction"'),
    "empty fractions": ({"design": "data_fraction", "fractions": []}, "fractions: is empty"),
    "fraction of nothing": (
        {"design": "data_fraction", "fractions": [0.5, 0]},
        "fractions.1: 0; expected more",
    ),
    "fraction twice": ({"design": "data_fraction", "fractions": [1, 1]}, "fractions.1: 1 stands there twice"),
    "fractions without their design": (
        {**STUDY, "fractions": [0.5]},
        'the design "one_factor" has no fractions; leave them out, or set design: "data_fraction"',
    ),
    "folds of fractions": (
        {"design": "data_fraction", "fractions": [0.5], "folds": {"k": 2}},
        "folds: do not go with the design data_fraction",
    ),
    "stratified for nothing": ({**STUDY, "stratify": "label"}, "stratify: belongs to the design data_frac"),
    "unknown stratum": ({**STUDY, "folds": {"k": 2, "stratify": "labl"}}, '"labl" is missing, by which'),
    "slip in a key": (
        {**STUDY, "sedes": [1]},
        r'study.jsonnet:6: sedes: unknown key; did you mean "seeds"\?',
    ),
    "configs and factors": ({**STUDY, "configs": {}, "base": {}}, "factors: does not go with configs"),
}


@pytest.mark.parametrize(("study", "message"), BAD.values(), ids=BAD)
def test_a_bad_study_is_refused(tmp_path, study, message):
    with pytest.raises((ConfigError, DataError), match=message):
        plan_of(study_file(tmp_path / "place", study))


def test_a_base_that_is_missing_is_told(tmp_path):
    path = study_file(tmp_path / "place")
    path.write_text('{ base: import "tyni.jsonnet", factors: {} }')
    with pytest.raises(ConfigError, match=r'study.jsonnet:1:.*import "tyni.jsonnet": no such file'):
        plan_of(path)


def test_a_study_without_a_base_is_told(tmp_path):
    (tmp_path / "study.json").write_text('{"factors": {"a": {"b": [1]}}}')
    with pytest.raises(
        ConfigError, match=r'study.json: "base" is missing; expected a config, such as base: import'
    ):
        plan_of(tmp_path / "study.json")


def test_data_that_are_missing_are_told(tmp_path):
    path = study_file(tmp_path / "place", {"factors": {"data": {"train_data_path": ["no.jsonl"]}}})
    with pytest.raises(DataError, match=r"study.jsonnet: data: no.jsonl: no such file; looked in"):
        plan_of(path)


def test_a_component_that_refuses_its_settings_is_told(tmp_path):
    path = study_file(tmp_path / "place", {"factors": {"f": {"model.dropout": [0.1, 1.5]}}})
    with pytest.raises(ConfigError, match=r"f=1.5: .*1.5"):
        plan_of(path)


def test_all_problems_are_told_at_once(tmp_path):
    factors = {"a": {"model.dropuot": [0.1]}, "b": {"trainer.num_epocs": [3]}, "c": {"model.dropout": []}}
    with pytest.raises(ConfigError) as caught:
        plan_of(study_file(tmp_path / "place", {"factors": factors}))
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "factors.c.model.dropout",
        "model.dropuot",
        "trainer.num_epocs",
    ]


def test_what_is_wrong_with_the_base_is_told_once(tmp_path):
    path = study_file(tmp_path / "place", STUDY, trainer__num_epocs=1)
    with pytest.raises(ConfigError, match=r"tiny.jsonnet:\d+: trainer.num_epocs: unknown key") as caught:
        plan_of(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_validation_metric_that_nobody_computes_is_told(tmp_path):
    path = study_file(tmp_path / "place", STUDY, trainer__validation_metric="+f1")
    with pytest.raises(ConfigError, match=r'base: trainer.validation_metric: the model reports no "f1"'):
        plan_of(path)


def test_a_seed_that_the_study_does_not_vary_is_told(tmp_path):
    path = study_file(tmp_path / "place", STUDY, pytorch_seed=3)
    with pytest.raises(ConfigError, match="pytorch_seed: a study varies random_seed, but this stays"):
        plan_of(path)


def test_a_config_without_validation_data_is_told(tmp_path):
    path = study_file(tmp_path / "place", STUDY, validation_data_path=...)
    with pytest.raises(ConfigError, match="validation_data_path: is missing; a study compares"):
        plan_of(path)


def test_a_file_of_configs_with_a_slip_is_told(tmp_path):
    path = tmp_path / "study.json"
    path.write_text('{"base": {"model": {}}, "factrs": {}}')
    with pytest.raises(ConfigError, match=r'factrs: neither a config.*did you mean "factors"\?'):
        plan_of(path)
    path.write_text("{}")
    with pytest.raises(ConfigError, match="the study is empty"):
        plan_of(path)


def test_what_is_wrong_with_configs_by_name_is_told_with_their_names(tmp_path):
    study_file(tmp_path / "place")
    configs = {"small": tiny_config(), "large": tiny_config(model__dropuot=0.1)}
    path = write_study(tmp_path / "place" / "two.jsonnet", {"configs": configs})
    with pytest.raises(ConfigError, match=r"two.jsonnet:2: model.dropuot: unknown key"):
        plan_of(path)
