"""Slips and wrong values anywhere in a rich config: each is refused, with the right advice."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bertx.config.construct import filled, plan
from bertx.config.schema import json_schema
from bertx.errors import ConfigError
from tests.config.sample import Root, rich_config
from tests.config.walking import component_keys, slips, with_key, with_value, without

KEYS = list(component_keys(rich_config()))
VALIDATOR = Draft202012Validator(json_schema(Root))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from([0.5, -1.5])
    | st.sampled_from(["a", "log", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "lr", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def problems(config: object) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        plan(Root, config, "c")
    return str(raised.value).splitlines()


def is_accepted(config: object) -> bool:
    try:
        plan(Root, config)
    except ConfigError:
        return False
    return True


def test_the_sample_has_enough_keys_to_mean_something():
    assert len(KEYS) == 47


@pytest.mark.parametrize(("path", "key"), KEYS, ids=[".".join(map(str, (*path, key))) for path, key in KEYS])
def test_every_slip_in_a_key_is_one_problem_with_the_right_suggestion(path: tuple[str | int, ...], key: str):
    for slip in slips(key, "xse_"):
        lines = problems(with_key(rich_config(), path, key, slip))
        where = ".".join(map(str, (*path, slip)))
        assert len(lines) == 1
        assert lines[0].startswith(f'c: {where}: unknown key; did you mean "{key}"? (')


@pytest.mark.parametrize("names", [("model", "stack"), ("vocabulary", "from_text")])
def test_every_slip_in_a_registered_name_is_one_problem_with_the_right_suggestion(names: tuple[str, str]):
    place, name = names
    for slip in slips(name, "xse_"):
        lines = problems(with_value(rich_config(), (place, "type"), slip))
        assert len(lines) == 1
        assert f'is registered as "{slip}"; did you mean "{name}"?' in lines[0]


@given(st.sampled_from(KEYS), json_values)
@settings(max_examples=300, deadline=None)
def test_the_schema_agrees_with_the_check_on_changed_values(
    place: tuple[tuple[str | int, ...], str], value: object
):
    config = with_value(rich_config(), (*place[0], place[1]), value)
    assert VALIDATOR.is_valid(config) == is_accepted(config), json.dumps(value)


@pytest.mark.parametrize(("path", "key"), KEYS)
def test_the_schema_agrees_with_the_check_on_misspelt_and_missing_keys(path: tuple[str | int, ...], key: str):
    misspelt = with_key(rich_config(), path, key, key + "x")
    missing = without(rich_config(), (*path, key))
    assert not VALIDATOR.is_valid(misspelt)
    assert VALIDATOR.is_valid(missing) == is_accepted(missing)


@given(st.sampled_from(KEYS), json_values)
@settings(max_examples=200, deadline=None)
def test_what_is_accepted_survives_being_filled_in(place: tuple[tuple[str | int, ...], str], value: object):
    config = with_value(rich_config(), (*place[0], place[1]), value)
    if not is_accepted(config):
        return
    once = filled(plan(Root, config))
    assert filled(plan(Root, json.loads(json.dumps(once)))) == once
    assert VALIDATOR.is_valid(once)


@given(json_values)
def test_no_value_makes_the_check_fail_in_another_way(value: object):
    assert is_accepted(value) is False
