"""Designs: from factors to variants."""

import pytest

from tests.ablation.tiny_study import STUDY, plan_of, study_file, tiny_config, write_study

TWO = {"dropout": {"model.dropout": [0.2, 0.3]}, "rate": {"trainer.optimizer.lr": [1e-3]}}
DEEP = {"trainer.num_epochs": [2, 3], "trainer.patience": [1, 2]}
NAMED = {
    "none": {"trainer.no_grad": ["."]},
    "less": {"trainer.no_grad": ["embeddings"], "model.dropout": 0.2},
}


def changes(path):
    return {variant.name: variant.changes for variant in plan_of(path).variants}


def test_one_factor_takes_every_level_alone(tmp_path):
    assert changes(study_file(tmp_path / "p", {"factors": TWO})) == {
        "base": {},
        "dropout=0.2": {"model.dropout": 0.2},
        "dropout=0.3": {"model.dropout": 0.3},
        "rate": {"trainer.optimizer.lr": 0.001},
    }


def test_a_grid_combines_all_levels_and_names_the_base_among_them(tmp_path):
    grid = {"epochs": {"trainer.num_epochs": [1, 2]}, "rate": {"trainer.optimizer.lr": [3e-3, 1e-3]}}
    assert list(changes(study_file(tmp_path / "p", {"factors": grid, "design": "grid"}))) == [
        "base",
        "epochs=1, rate=0.001",
        "epochs=2, rate=0.003",
        "epochs=2, rate=0.001",
    ]


def test_leave_one_out_takes_one_part_away_at_a_time(tmp_path):
    parts = {"decay": {"trainer.optimizer.weight_decay": 0.5}, "buckets": {"~data_loader": True}}
    found = changes(study_file(tmp_path / "p", {"factors": parts, "design": "leave_one_out"}))
    assert found["without decay"] == {"trainer.optimizer.weight_decay": 0.5}
    assert found["without buckets"] == {"data_loader": None}


def test_paired_puts_all_factors_together(tmp_path):
    both = {"a": {"model.dropout": 0.2}, "b": {"trainer.patience": 1}}
    assert changes(study_file(tmp_path / "p", {"factors": both, "design": "paired"})) == {
        "base": {},
        "a + b": {"model.dropout": 0.2, "trainer.patience": 1},
    }


def test_the_keys_of_a_factor_vary_together(tmp_path):
    assert list(changes(study_file(tmp_path / "p", {"factors": {"length": DEEP}})).items())[1:] == [
        ("length=2", {"trainer.num_epochs": 2, "trainer.patience": 1}),
        ("length=3", {"trainer.num_epochs": 3, "trainer.patience": 2}),
    ]


def test_levels_may_have_names(tmp_path):
    assert list(changes(study_file(tmp_path / "p", {"factors": {"frozen": NAMED}}))) == [
        "base",
        "frozen=less",
        "frozen=none",
    ]


def test_levels_without_a_short_value_have_numbers(tmp_path):
    loaders = [{"batch_size": 4}, {"batch_size": 8}, {"type": "simple", "batch_size": 2}]
    found = changes(study_file(tmp_path / "p", {"factors": {"loader": {"data_loader": loaders}}}))
    assert list(found) == ["base", "loader=#1", "loader=#2", "loader=simple"]


def test_a_study_may_be_configs_by_name(tmp_path):
    study_file(tmp_path / "p")
    configs = {
        "a": tiny_config(model__dropout=0.4),
        "b": tiny_config(),
        "c": tiny_config(random_seed=7, model__dropout=0.5),
    }
    plan = plan_of(write_study(tmp_path / "p" / "three.jsonnet", {"configs": configs, "seeds": [5]}))
    assert {variant.name: variant.changes for variant in plan.variants} == {
        "a": {},
        "b": {"model.dropout": None},
        "c": {"model.dropout": 0.5},
    }
    assert (plan.compare_to, plan.seeds, plan.primary, plan.metrics) == ("a", [5], "+accuracy", ["accuracy"])


def test_a_file_of_nothing_but_configs_is_a_study(tmp_path):
    path = study_file(tmp_path / "p")
    path.write_text('{ base: import "tiny.jsonnet", other: self.base { model+: { dropout: 0.3 } } }')
    plan = plan_of(path)
    assert [variant.name for variant in plan.variants] == ["base", "other"]
    assert (plan.compare_to, plan.seeds, plan.study.file.design) == ("base", [1], "configs")


def test_a_study_may_import_from_the_folder_above(tmp_path):
    path = study_file(tmp_path / "p")
    (tmp_path / "p" / "studies").mkdir()
    moved = tmp_path / "p" / "studies" / "s.jsonnet"
    moved.write_text(path.read_text().replace('"tiny.jsonnet"', '"../tiny.jsonnet"'))
    assert [run.identity for run in plan_of(moved).runs] == [run.identity for run in plan_of(path).runs]


@pytest.mark.parametrize(("folds", "count"), [(None, 8), ({"k": 3}, 24)])
def test_every_variant_has_a_run_for_each_seed_and_fold(tmp_path, folds, count):
    study = {**STUDY, **({} if folds is None else {"folds": folds})}
    runs = plan_of(study_file(tmp_path / "p", study)).runs
    assert len({run.identity for run in runs}) == len({run.name for run in runs}) == len(runs) == count


def test_fractions_are_compared_to_the_largest(tmp_path):
    study = {"design": "data_fraction", "fractions": [0.25, 1, 0.5], "stratify": "label"}
    plan = plan_of(study_file(tmp_path / "p", study))
    assert [variant.name for variant in plan.variants] == ["fraction=0.25", "fraction=1", "fraction=0.5"]
    assert plan.compare_to == "fraction=1"
    assert [run.draft.num_steps for run in plan.runs] == [1, 3, 2]


def test_what_is_compared_is_the_test_data_if_the_base_evaluates_on_them(tmp_path):
    path = study_file(tmp_path / "p", STUDY, test_data_path="data/dev.jsonl", evaluate_on_test=True)
    assert plan_of(path).evaluated_on == "test"
    folds = write_study(path, {**STUDY, "folds": {"k": 2}})
    assert plan_of(folds).evaluated_on == "validation"
