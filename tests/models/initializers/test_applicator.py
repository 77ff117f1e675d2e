import logging
import re

import pytest
from torch import nn

from bertx.config.construct import plan
from bertx.config.registrable import Configurable
from bertx.errors import ConfigError
from bertx.models.initializers.applicator import Initialization, InitializerApplicator, initialize_by
from bertx.models.initializers.drawn import constant, xavier_uniform, zero
from bertx.models.initializers.initializer import Prevent

NAMES = "low.weight, low.bias, high.weight, high.bias"


class Holder(Configurable):
    """What a config gives an `initializer` to."""

    def __init__(self, initializer: Initialization | None = None) -> None:
        self.initializer = initializer


def values(initialization: Initialization | None) -> dict[str, float]:
    """The first value of each parameter of a small network of ones."""
    network = nn.ModuleDict({"low": nn.Linear(2, 2), "high": nn.Linear(2, 2)})
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    initialize_by(initialization, network)
    return {name: parameter.flatten()[0].item() for name, parameter in network.named_parameters()}


def configured(config: object) -> dict[str, float]:
    return values(plan(Holder, {"initializer": config}).build().initializer)


def test_the_first_match_wins_and_the_rest_stay():
    found = values(InitializerApplicator([("low.*weight", constant(2.0)), ("weight", constant(3.0))]))
    assert found == {"low.weight": 2.0, "low.bias": 1.0, "high.weight": 3.0, "high.bias": 1.0}


def test_prevention_goes_before_every_match():
    found = values(InitializerApplicator([("weight|bias", constant(2.0))], ["high", "^low.bias$"]))
    assert found == {"low.weight": 2.0, "low.bias": 1.0, "high.weight": 1.0, "high.bias": 1.0}


def test_prevention_may_stand_in_the_list_even_behind_the_match():
    found = values([("weight|bias", constant(2.0)), ("high", Prevent())])
    assert found == {"low.weight": 2.0, "low.bias": 2.0, "high.weight": 1.0, "high.bias": 1.0}


@pytest.mark.parametrize("nothing", [None, [], InitializerApplicator()])
def test_without_pairs_nothing_changes(nothing):
    assert set(values(nothing).values()) == {1.0}


def test_an_expression_that_picks_nothing_is_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        values([("bias", zero()), ("low.bias", zero()), ("lwo", zero())])
    assert [record.getMessage() for record in caplog.records] == [
        f'initializer: "low.bias" picks none of the parameters {NAMES}',
        f'initializer: "lwo" picks none of the parameters {NAMES}',
    ]


def test_what_stays_as_it_was_is_logged(caplog):
    with caplog.at_level(logging.INFO):
        values([("weight", zero()), ("high", Prevent())])
    assert [record.getMessage() for record in caplog.records] == [
        "initializer: left as they were: low.bias, high.weight, high.bias"
    ]


def test_a_vector_has_no_fan_in():
    message = (
        "initializer: low.bias, of shape (2,), cannot be filled: Fan in and fan out can not be computed for "
        "tensor with fewer than 2 dimensions; change its initializer, or the expression that picks it"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        values([("bias", xavier_uniform())])


@pytest.mark.parametrize(
    "config",
    [
        {
            "regexes": [["weight", {"type": "constant", "val": 5}], ["bias", "zero"]],
            "prevent_regexes": ["hi"],
        },
        {"regexes": [["weight", {"type": "constant", "val": 5}], ["bias", "zero"], ["hi", "prevent"]]},
        [["weight", {"type": "constant", "val": 5}], ["bias", "zero"], ["hi", "prevent"]],
        [["hi", {"type": "prevent"}], ["weight", {"type": "constant", "val": 5}], ["bias", "zero"]],
    ],
    ids=["object", "object with prevent", "list of 0.9", "list of 0.9 with an object"],
)
def test_both_forms_of_allennlp_are_understood(config):
    assert configured(config) == {"low.weight": 5.0, "low.bias": 0.0, "high.weight": 1.0, "high.bias": 1.0}


def test_a_slip_in_the_list_is_told_with_its_place():
    with pytest.raises(ConfigError, match=r'^config: initializer\.1\.1\.type: no .*; did you mean "zero"\?'):
        configured([["bias", "zero"], ["weight", "zeros"]])


def test_a_broken_expression_is_refused():
    with pytest.raises(ConfigError, match=r'^initializer.regexes: "\(" is no regular expression'):
        configured([["(", "prevent"]])
