from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from bertx.config.construct import filled, plan
from bertx.config.registrable import Registrable
from bertx.config.schema import describe, describe_maker, json_schema
from bertx.errors import ConfigError
from tests.config.sample import Hook, Root, Solver, Training, rich_config


def is_valid(root: type, config: object) -> bool:
    return bool(Draft202012Validator(json_schema(root)).is_valid(config))


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(json_schema(Root))


def test_the_schema_takes_good_configs_as_written_and_as_filled_in():
    assert is_valid(Root, rich_config())
    assert is_valid(Root, filled(plan(Root, rich_config())))


@pytest.mark.parametrize(
    ("config", "good"),
    [
        ({}, True),
        ("adamw", True),
        ("sgd", False),
        ({"type": "sgd", "lr": 1}, True),
        ({"type": "sgd"}, False),
        ({"momentum": 1}, False),
        ({"lr": "1"}, False),
        ({"type": "adam"}, False),
    ],
)
def test_type_is_optional_only_for_the_default_member(config: object, good: bool):
    assert is_valid(Solver, config) is good


def test_a_family_without_members_accepts_nothing():
    assert not is_valid(type("NoMembers", (Registrable,), {}), {})


def test_members_carry_descriptions_and_defaults():
    member = json_schema(Solver)["$defs"]["Solver.adamw"]
    assert member["description"] == "Adam with decoupled weight decay."
    assert member["properties"]["lr"] == {"type": "number", "description": "Step size.", "default": 0.001}
    assert member["additionalProperties"] is False


def test_two_classes_of_one_name_are_kept_apart():
    other = type("Training", (Registrable,), {})

    def maker(a, b): ...

    maker.__annotations__ = {"a": Training, "b": other}
    family = type("PairFamily", (Registrable,), {})
    family.register("x")(maker)
    assert {"Training", "tests.config.test_schema.Training"} <= set(json_schema(family)["$defs"])


def test_describe_lists_families_with_their_members():
    assert "Solver                  adamw, sgd" in describe().splitlines()


def test_describe_lists_the_members_of_a_family():
    assert describe("Solver").splitlines() == [
        "Solver: Makes optimizers, here plain dicts.",
        "  adamw                       Adam with decoupled weight decay.",
        "  sgd                         Gradient descent.",
    ]


def test_describe_tells_everything_about_a_member():
    assert describe("Net", "classifier").splitlines() == [
        'Net "classifier": Classifies.',
        "  encoder: a string or an EncoderSizes; required",
        "      Name, folder, or sizes of a fresh encoder.",
        "  dropout: a number; default 0.1",
        "      Probability of dropping a unit.",
        '  pooling: "first" or "mean"; default "first"',
        "  widths: a list of whole numbers; default []",
        "  copy: true or false; default false",
        "  (supplied by the program: vocab)",
    ]


def test_describe_works_for_plain_classes():
    assert describe_maker(Training, "trainer").splitlines()[:4] == [
        "trainer: Trains.",
        "  optimizer: a Solver; required",
        "  num_epochs: a whole number; default 3",
        "      How often to see the data.",
    ]


def test_describe_suggests_families_and_members():
    with pytest.raises(ConfigError, match='no family is called "Hok"; did you mean "Hook"'):
        describe("Hok")
    with pytest.raises(ConfigError, match='no Hook is registered as "lgo"; did you mean "log"'):
        describe("Hook", "lgo")


def test_docstrings_may_wrap():
    assert json_schema(Hook)["$defs"]["Hook.log"]["required"] == ["type", "every"]
    reader = json_schema(Root)["$defs"]["Reader.lines"]["properties"]["fields"]
    assert reader["description"] == "Which fields to keep; None keeps all."
