"""The configs that the repository ships: they are good, and every slip in them is found."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from bertx.config.file import read_config
from bertx.config.schema import json_schema
from bertx.errors import ConfigError
from bertx.experiment import Experiment
from bertx.runs.planning import plan_experiment, register_components

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.jsonnet"))
EXT_VARS = {"DATA": "data", "ENCODER": "../fixtures/bert-tiny", "STUDENT": "student", "TEACHER": "teacher"}
LETTERS = "eas_"  # three common letters and the joint of words; tests/benchmarks/config_slips.py takes all

each_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)


def evaluated(path: Path) -> dict:
    return read_config(path, ext_vars=EXT_VARS)[0]


def keys(value, path=()):
    """Yields the path of every key."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from keys(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from keys(inner, (*path, number))


def slips(word: str, letters: str) -> list[str]:
    """Lists what one slip makes of a word: a letter left out, put in, replaced, or two swapped."""
    splits = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    left_out = [a + b[1:] for a, b in splits if b]
    swapped = [a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1]
    replaced = [a + c + b[1:] for a, b in splits if b for c in letters]
    put_in = [a + c + b for a, b in splits for c in letters]
    return sorted({*left_out, *swapped, *replaced, *put_in} - {word})


def renamed(config: dict, path: tuple, new: str) -> dict | None:
    """Returns the config with one key renamed; None if the new name is there already."""
    changed = copy.deepcopy(config)
    parent = changed
    for part in path[:-1]:
        parent = parent[part]
    if new in parent:
        return None
    items = [(new if key == path[-1] else key, value) for key, value in parent.items()]
    parent.clear()
    parent.update(items)
    return changed


def verdicts(config: dict, letters: str) -> tuple[int, int, list[str]]:
    """Counts the mutants of a config, those with the right suggestion, and lists the accepted ones."""
    tried = suggested = 0
    accepted = []
    for path in keys(config):
        for slip in slips(path[-1], letters):
            mutant = renamed(config, path, slip)
            if mutant is None:
                continue
            tried += 1
            try:
                plan_experiment(mutant)
                accepted.append(f"{path}: {slip}")
            except ConfigError as error:
                suggested += f'did you mean "{path[-1]}"?' in str(error)
    return tried, suggested, accepted


@each_config
def test_a_shipped_config_is_good(path):
    plan_experiment(evaluated(path))


@each_config
def test_every_slip_in_a_key_is_found_and_the_key_suggested(path):
    tried, suggested, accepted = verdicts(evaluated(path), LETTERS)
    assert tried > 500
    assert accepted == []
    assert suggested >= 0.95 * tried


@each_config
def test_the_schema_accepts_a_shipped_config_and_refuses_renamed_keys(path):
    register_components()
    validator = jsonschema.Draft202012Validator(json_schema(Experiment))
    config = json.loads(json.dumps(evaluated(path)))
    assert not list(validator.iter_errors(config))
    free = {("dataset_reader", "token_indexers"), ("validation_dataset_reader", "token_indexers")}
    for name in (path for path in keys(config) if path[:-1] not in free):
        assert not validator.is_valid(renamed(config, name, f"{name[-1]}x")), name


@each_config
@pytest.mark.parametrize("wrong", [[], {"a": 1}, "nonsense", None, True], ids=str)
def test_a_value_of_the_wrong_kind_is_refused_at_its_place(path, wrong):
    config = evaluated(path)
    config["trainer"]["optimizer"]["lr"] = wrong
    with pytest.raises(ConfigError, match=r"trainer\.optimizer\.lr"):
        plan_experiment(config)


def test_the_schema_itself_is_valid():
    register_components()
    jsonschema.Draft202012Validator.check_schema(json_schema(Experiment))
