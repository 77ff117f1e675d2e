from __future__ import annotations

from pathlib import Path

import pytest

from bertx.config.construct import filled, plan
from bertx.errors import ConfigError
from tests.config.sample import EncoderSizes, Hook, Net, Precision, Root, Solver, Training, Words, rich_config
from tests.config.walking import with_key, with_value, without


def problems(base: type, config: object) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        plan(base, config, "c.jsonnet")
    return str(raised.value).splitlines()


def test_the_objects_get_what_the_config_says():
    root = plan(Root, rich_config()).build(vocab=Words())
    assert root.trainer.precision is Precision.HALF
    assert root.trainer.hooks[0].folder == Path("logs")
    assert root.model.parts[0].widths == (1, 2)
    assert root.initializers == {".*bias": 0.0}
    assert root.trainer.optimizer.build(params=[])["groups"] == [(["bias", "norm"], {"weight_decay": 0})]


def test_all_problems_are_reported_together():
    config = with_key(rich_config(), ("trainer", "optimizer"), "lr", "learning_rate")
    config = with_value(config, ("model", "parts", 0, "pooling"), "maen")
    config = with_value(config, ("trainer", "hooks", 0, "every"), "10")
    assert problems(Root, config) == [
        'c.jsonnet: model.parts.0.pooling: expected "first" or "mean", got "maen"; did you mean "mean"?',
        'c.jsonnet: trainer.optimizer.learning_rate: unknown key; did you mean "lr"? '
        "(adamw takes: betas, lr, parameter_groups, weight_decay)",
        'c.jsonnet: trainer.hooks.0.every: expected a whole number, got "10", a string; take the quotes away,'
        " or write std.parseJson(std.extVar(...)) for an external variable",
    ]


def test_a_missing_key_names_its_owner_and_type():
    assert problems(Root, without(rich_config(), ("trainer", "hooks", 0, "every"))) == [
        'c.jsonnet: trainer.hooks.0: "every" is missing; log needs it (a whole number)'
    ]


def test_a_slip_in_a_required_key_is_one_problem():
    assert problems(Root, with_key(rich_config(), (), "model", "modle"))[0].startswith(
        'c.jsonnet: modle: unknown key; did you mean "model"? (Root takes: '
    )
    assert len(problems(Root, with_key(rich_config(), (), "model", "modle"))) == 1


def test_what_is_inside_a_misspelt_key_is_checked_too():
    config = with_key(
        with_value(rich_config(), ("trainer", "optimizer", "lr"), "x"), (), "trainer", "trianer"
    )
    assert [line.split(": ")[1] for line in problems(Root, config)] == ["trianer", "trianer.optimizer.lr"]


def test_an_unknown_name_suggests_the_nearest_one():
    assert problems(Net, {"type": "stakc", "parts": []}) == [
        'c.jsonnet: type: no Net is registered as "stakc"; did you mean "stack"?; registered: classifier, '
        "empty, stack; a component of your own needs --include-package"
    ]


def test_a_missing_type_lists_the_members():
    assert problems(Hook, {"every": 1}) == ['c.jsonnet: "type" is missing; it names a Hook, one of: log']


def test_a_slip_in_type_is_found_where_the_family_has_a_default():
    assert problems(Solver, {"tpye": "sgd", "lr": 1, "momentun": 0}) == [
        'c.jsonnet: tpye: unknown key; did you mean "type"? (it names a Solver)',
        'c.jsonnet: momentun: unknown key; did you mean "momentum"? (sgd takes: lr, momentum)',
    ]


def test_type_must_be_a_string():
    assert problems(Hook, {"type": 3}) == ["c.jsonnet: type: expected a registered name (one of: log), got 3"]


def test_a_family_without_type_uses_its_default():
    assert plan(Solver, {"lr": 1}).build(params=[])["lr"] == 1.0


def test_a_string_is_short_for_an_object_with_that_type():
    assert filled(plan(Solver, "adamw")) == filled(plan(Solver, {}))


def test_a_string_for_a_plain_class_is_refused():
    assert problems(Training, "fast") == ['c.jsonnet: expected a Training (an object), got "fast"']


@pytest.mark.parametrize("config", [None, 3, True, [], "x", 1.5])
def test_a_config_that_is_no_object_is_refused(config: object):
    assert problems(Root, config)[0].startswith("c.jsonnet: expected a Root (an object), got ")


def test_what_the_program_supplies_cannot_be_set():
    assert problems(Net, {"type": "classifier", "encoder": "x", "vocab": 1}) == [
        "c.jsonnet: vocab: the program supplies it to classifier; no config may set it"
    ]


def test_a_union_takes_a_string_or_an_object():
    name = plan(Net, {"type": "classifier", "encoder": "bert"}).build(vocab=Words())
    sizes = plan(Net, {"type": "classifier", "encoder": {"hidden_size": 8}}).build(vocab=Words())
    assert name.encoder == "bert"
    assert sizes.encoder == EncoderSizes(hidden_size=8)


def test_problems_inside_a_union_have_clean_paths():
    config = {"type": "classifier", "encoder": {"hiden_size": 8, "num_hidden_layers": "2x"}}
    assert problems(Net, config) == [
        'c.jsonnet: encoder.hiden_size: unknown key; did you mean "hidden_size"? '
        "(EncoderSizes takes: extra, hidden_size, num_hidden_layers)",
        'c.jsonnet: encoder.num_hidden_layers: expected a whole number, got "2x"',
    ]


def test_a_union_names_all_its_alternatives():
    assert problems(Net, {"type": "classifier", "encoder": 3}) == [
        "c.jsonnet: encoder: expected a string or an EncoderSizes, got 3"
    ]


def test_a_union_of_scalars_gives_advice_too():
    config = {"optimizer": "adamw", "warmup_steps": "0.1"}
    assert problems(Training, config) == [
        'c.jsonnet: warmup_steps: expected a whole number or a number, got "0.1", a string; take the quotes '
        "away, or write std.parseJson(std.extVar(...)) for an external variable"
    ]


def test_whole_numbers_stay_whole_beside_numbers():
    root = plan(Root, with_value(rich_config(), ("trainer", "warmup_steps"), 100))
    assert repr(root.build(vocab=Words()).trainer.warmup_steps) == "100"


ALLOWED = {
    ("dataset_reader", "readers", "a", "encoding"): {"text"},
    ("dataset_reader", "readers", "a", "fields"): {"null", "list"},
    ("model", "parts"): {"list"},
    ("model", "parts", 0, "dropout"): {"zero", "fraction"},
    ("model", "parts", 0, "pooling"): set(),
    ("model", "parts", 0, "widths"): {"list", "numbers"},
    ("model", "parts", 1, "encoder", "hidden_size"): {"zero"},
    ("model", "parts", 1, "encoder"): {"text", "object"},
    ("model", "parts", 1, "copy"): {"true"},
    ("trainer",): set(),
    ("trainer", "optimizer"): {"object"},
    ("trainer", "optimizer", "lr"): {"zero", "fraction"},
    ("trainer", "optimizer", "betas"): set(),
    ("trainer", "optimizer", "parameter_groups"): {"null", "list"},
    ("trainer", "patience"): {"zero", "null"},
    ("trainer", "validation_metric"): {"text", "list"},
    ("trainer", "precision"): set(),
    ("trainer", "hooks"): {"null", "list"},
    ("trainer", "hooks", 0): set(),
    ("trainer", "hooks", 0, "folder"): {"text", "null"},
    ("vocabulary", "text"): {"text"},
    ("initializers",): {"null", "object"},
    ("schema",): {"true"},
}
VALUES = {
    "null": None,
    "true": True,
    "zero": 0,
    "fraction": 0.5,
    "text": "text",
    "list": [],
    "numbers": [1],
    "object": {},
}


@pytest.mark.parametrize("path", ALLOWED, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("kind", VALUES)
def test_values_of_the_wrong_type_are_refused_where_they_stand(path: tuple[str | int, ...], kind: str):
    config = with_value(rich_config(), path, VALUES[kind])
    if kind in ALLOWED[path]:
        assert plan(Root, config)
        return
    assert problems(Root, config)[0].startswith(f"c.jsonnet: {'.'.join(map(str, path))}")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400])
def test_numbers_must_be_finite(number: float):
    assert problems(Solver, {"lr": number})[0].startswith("c.jsonnet: lr: expected a number, got ")


def test_a_config_nested_without_end_is_refused():
    config: dict[str, object] = {"type": "stack", "parts": []}
    config["parts"] = [config]
    assert problems(Net, config) == ["c.jsonnet: parts.0.parts: nested more than 100 levels deep"]


def test_free_form_values_nested_without_end_are_refused():
    loop: list[object] = []
    loop.append(loop)
    assert problems(EncoderSizes, {"extra": {"x": loop}}) == [
        "c.jsonnet: extra.x.0: nested more than 100 levels deep"
    ]


def test_filled_writes_types_and_defaults():
    assert filled(plan(Training, {"optimizer": "adamw"})) == {
        "optimizer": {
            "type": "adamw",
            "lr": 0.001,
            "betas": [0.9, 0.999],
            "weight_decay": 0.0,
            "parameter_groups": None,
        },
        "num_epochs": 3,
        "patience": None,
        "warmup_steps": 0,
        "validation_metric": "-loss",
        "precision": "float32",
        "hooks": None,
        "cuda_devices": None,
    }


def test_filled_is_a_config_of_the_same_plan():
    once = filled(plan(Root, rich_config()))
    assert filled(plan(Root, once)) == once


def test_filled_shows_the_defaults_of_dataclasses():
    assert filled(plan(EncoderSizes, {})) == {"hidden_size": 768, "num_hidden_layers": 12, "extra": {}}


def test_places_come_before_paths():
    class Lines:
        def place(self, path: tuple[str | int, ...]) -> str | None:
            return "c.jsonnet:14" if path == ("lrr",) else None

    with pytest.raises(ConfigError, match=r'^c.jsonnet:14: lrr: unknown key; did you mean "lr"'):
        plan(Solver, {"lrr": 1}, "c.jsonnet", Lines())
