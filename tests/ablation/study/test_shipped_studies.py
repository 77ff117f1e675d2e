"""The studies that the repository ships."""

import pytest

from bertx.ablation.study.plan import plan_study
from bertx.ablation.study.study_file import read_study
from bertx.ablation.study.variants import make_variants
from tests.processes import REPOSITORY

STUDIES = REPOSITORY / "configs" / "studies"
EXT_VARS = {"DATA": "data", "ENCODER": "../fixtures/bert-tiny"}


def test_all_of_them_are_looked_at():
    assert sorted(path.name for path in STUDIES.glob("*.jsonnet")) == [
        "examples.jsonnet",
        "freezing.jsonnet",
        "recipe.jsonnet",
    ]


@pytest.mark.parametrize("name", ["examples", "freezing", "recipe"])
def test_their_configs_are_good(name):
    study = read_study(STUDIES / f"{name}.jsonnet", ext_vars=EXT_VARS)
    assert study.name == name
    assert len(make_variants(study)) == {"examples": 6, "freezing": 5, "recipe": 6}[name]


def test_the_recipe_leaves_out_one_part_at_a_time():
    plan = plan_study(read_study(STUDIES / "recipe.jsonnet", ["seeds=[1]"]))
    assert [(run.title, run.draft.num_steps) for run in plan.runs] == [
        ("base, seed 1", 192),
        ("without bucketing, seed 1", 192),
        ("without pretrained_weights, seed 1", 192),
        ("without rate_decay, seed 1", 192),
        ("without warm_up, seed 1", 192),
        ("without weight_decay, seed 1", 192),
    ]


def test_growing_parts_have_growing_numbers_of_steps():
    plan = plan_study(read_study(STUDIES / "examples.jsonnet", ["seeds=[1]"]))
    assert [run.draft.num_steps for run in plan.runs] == [40, 70, 130, 260, 450, 640]
