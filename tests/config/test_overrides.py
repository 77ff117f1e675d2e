from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.config.overrides import apply_overrides
from bertx.errors import ConfigError

CONFIG = {
    "trainer": {
        "num_epochs": 3,
        "optimizer": {"type": "adamw", "lr": 1e-5},
        "callbacks": [{"every": 1}, "b"],
    },
    "path": "x.jsonl",
    "nothing": None,
}


def edited(*overrides: str) -> dict[str, object]:
    return apply_overrides(copy.deepcopy(CONFIG), list(overrides))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("path=3", 3),
        ("path=2e-5", 2e-5),
        ("path=true", True),
        ("path=null", None),
        ("path=[1, 2]", [1, 2]),
        ('path={"a": 1}', {"a": 1}),
        ("path=y.jsonl", "y.jsonl"),
        ('path="3"', "3"),
        ("path=", ""),
        ("path=a=b", "a=b"),
        (" path = y ", "y"),
    ],
)
def test_a_value_is_json_if_it_can_be_and_else_a_string(text: str, value: object):
    assert edited(text)["path"] == value


def test_dotted_paths_edit_leaves():
    assert edited("trainer.optimizer.lr=1")["trainer"]["optimizer"] == {"type": "adamw", "lr": 1}


def test_list_items_are_edited_by_index():
    assert edited("trainer.callbacks.0.every=5")["trainer"]["callbacks"] == [{"every": 5}, "b"]


def test_the_index_after_the_last_appends():
    assert edited("trainer.callbacks.2=c")["trainer"]["callbacks"] == [{"every": 1}, "b", "c"]
    assert edited("trainer.callbacks.2.type=c")["trainer"]["callbacks"][2] == {"type": "c"}


def test_a_tilde_deletes():
    changed = edited("~trainer.optimizer.lr", "~trainer.callbacks.0", "~path")
    assert changed["trainer"]["optimizer"] == {"type": "adamw"}
    assert changed["trainer"]["callbacks"] == ["b"]
    assert "path" not in changed


def test_missing_objects_on_the_way_are_made():
    assert edited("model.encoder.size=1")["model"] == {"encoder": {"size": 1}}
    assert edited("nothing.size=1")["nothing"] == {"size": 1}


def test_an_object_replaces_subtrees_and_its_dotted_keys_edit_leaves():
    changed = edited('{"trainer.optimizer": {type: "sgd"}, "trainer.num_epochs": 1 + 1, "~path": null}')
    assert changed["trainer"]["optimizer"] == {"type": "sgd"}
    assert changed["trainer"]["num_epochs"] == 2
    assert "path" not in changed


def test_a_mapping_does_the_same_from_python():
    changed = apply_overrides(CONFIG, {"trainer.num_epochs": 1, "~path": None})
    assert changed["trainer"]["num_epochs"] == 1
    assert "path" not in changed


def test_external_variables_work_in_overrides():
    assert apply_overrides({}, ["{a: std.extVar('A')}"], {"A": "x"}) == {"a": "x"}


def test_later_overrides_win():
    assert edited("path=1", "path=2")["path"] == 2


def test_the_given_config_stays_as_it_is():
    before = copy.deepcopy(CONFIG)
    apply_overrides(CONFIG, ["trainer.optimizer.lr=1", "~path", "trainer.callbacks.2=1"])
    assert before == CONFIG


def test_one_string_is_one_override():
    assert apply_overrides({}, "a=1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path.x=1", 'path is "x.jsonl", which has no "x" in it'),
        ("trainer.callbacks.5=1", 'trainer.callbacks is a list of 2; expected an index from 0 to 2, got "5"'),
        ("trainer.callbacks.x=1", 'trainer.callbacks is a list of 2; expected an index from 0 to 2, got "x"'),
        ("~trainer.callbacks.2", 'trainer.callbacks is a list of 2; expected an index from 0 to 1, got "2"'),
        (
            "~trainer.lr",
            'nothing to delete: trainer has no "lr"; it has: callbacks, num_epochs, optimizer',
        ),
        ("~x.y", 'nothing to delete: the config has no "x"; it has: nothing, path, trainer'),
        ("path", "expected key.path=value, ~key.path or an object {...}"),
        ("a..b=1", "an empty key in the path; expected something like trainer.num_epochs"),
        ("~", "an empty key in the path; expected something like trainer.num_epochs"),
        ("path=NaN", "NaN is no JSON number; expected a finite number"),
    ],
)
def test_an_override_that_does_not_fit_says_what_is_there(text: str, expected: str):
    with pytest.raises(ConfigError) as raised:
        edited(text)
    assert str(raised.value) == f"-o {text}: {expected}"


def test_an_error_in_a_jsonnet_override_has_its_place():
    with pytest.raises(ConfigError, match=r"^--overrides:1:5: unknown variable: foo$"):
        edited("{a: foo}")


@given(st.text(max_size=20))
def test_any_text_edits_or_is_a_config_error(text: str):
    try:
        assert isinstance(edited(text), dict)
    except ConfigError as error:
        assert str(error).startswith("-")
