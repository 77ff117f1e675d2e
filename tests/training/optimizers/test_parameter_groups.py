import logging
import re

import pytest
import torch
from torch import nn

from bertx.bert.config import BertConfig
from bertx.bert.model import BertModel
from bertx.config.file import read_config
from bertx.errors import ConfigError
from tests.contracts import FIXTURES
from tests.training.optimizers.problem import make_optimizer

EVERYWHERE = {"decay_biases_and_norms": True}


def make_network() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"low": nn.Linear(3, 4), "norm": nn.LayerNorm(4), "high": nn.Linear(4, 2)})


def make_groups(network: nn.Module, *groups, name: str = "adamw", **settings) -> list[dict]:
    """The groups of an optimizer, with names in place of parameters."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    named = list(network.named_parameters())
    optimizer = make_optimizer(named, name, parameter_groups=list(groups), **settings)
    return [group | {"params": [names[id(p)] for p in group["params"]]} for group in optimizer.param_groups]


def groups_of(network: nn.Module, *groups, **settings) -> list[list[str]]:
    return [group["params"] for group in make_groups(network, *groups, **EVERYWHERE, **settings)]


def test_expressions_are_searched_for_and_what_none_matches_comes_last():
    found = groups_of(make_network(), [["high"], {"lr": 1.0}], [["ow.*t$", r"norm\."], {"lr": 2.0}])
    assert found == [["high.weight", "high.bias"], ["low.weight", "norm.weight", "norm.bias"], ["low.bias"]]


def test_a_parameter_may_match_twice_in_one_group():
    found = groups_of(make_network(), [["low", "weight", "."], {"weight_decay": 0.0}])
    assert [len(group) for group in found] == [6]


def test_a_parameter_in_two_groups_is_refused():
    message = (
        "trainer.optimizer.parameter_groups: low.weight is in groups 0 and 2 (counted from 0); "
        "expected every parameter in one at most; make the expressions narrower\nwhile building adamw"
    )
    groups = [[["low"], {"lr": 1.0}], [["norm"], {"lr": 2.0}], [["weight"], {"lr": 3.0}]]
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        groups_of(make_network(), *groups)


def test_a_group_can_be_frozen():
    network = make_network()
    found = groups_of(network, [["low", "norm"], {"requires_grad": False}], [["high.bias"], {"lr": 1.0}])
    assert found == [["high.bias"], ["high.weight"]]
    assert [p.requires_grad for p in network.parameters()] == [False] * 4 + [True] * 2


def test_what_is_frozen_already_stays_out():
    network = make_network()
    network["low"].requires_grad_(False)
    assert groups_of(network, [["weight"], {"lr": 1.0}]) == [
        ["norm.weight", "high.weight"],
        ["norm.bias", "high.bias"],
    ]


@pytest.mark.parametrize("name", ["adamw", "huggingface_adamw"])
def test_nothing_to_train_is_refused(name):
    message = r"^trainer\.optimizer: there is nothing to train: every parameter is frozen\n"
    with pytest.raises(ConfigError, match=message):
        groups_of(make_network(), [["."], {"requires_grad": False}], name=name)


def test_an_expression_that_picks_nothing_is_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        groups_of(make_network(), [["low", "LayerNorm"], {"lr": 1.0}])
    names = "low.weight, low.bias, norm.weight, norm.bias, high.weight, high.bias"
    assert caplog.messages == [
        f'trainer.optimizer.parameter_groups: "LayerNorm" picks none of the parameters {names}'
    ]


def test_a_broken_expression_is_refused():
    message = r'^trainer\.optimizer\.parameter_groups: "\*" is no regular expression \(nothing to repeat '
    with pytest.raises(ConfigError, match=message):
        groups_of(make_network(), [["*"], {"lr": 1.0}])


@pytest.mark.parametrize(
    ("name", "settings", "option"),
    [
        ("adamw", {}, "momentum"),
        ("sgd", {"lr": 0.1}, "betas"),
        ("rprop", {}, "weight_decay"),
        ("adagrad", {}, "eps"),
    ],
)
def test_a_group_takes_the_options_of_its_optimizer_only(name, settings, option):
    with pytest.raises(ConfigError, match=rf"parameter_groups\.0\.1\.{option}: unknown key"):
        make_groups(make_network(), [["low"], {option: 0.5}], name=name, **settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr is -1.0; expected 0 or more"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; expected 0 or more"),
        ({"eps": -1e-8}, "eps is -1e-08; expected 0 or more"),
        ({"betas": [0.9, 1.0]}, "betas are 0.9 and 1.0; expected both at least 0 and less than 1"),
    ],
)
def test_impossible_options_of_a_group_are_refused(options, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.optimizer\.parameter_groups: {message}\n"):
        groups_of(make_network(), [["low"], options])


def test_biases_and_scales_of_norms_do_not_decay():
    found = make_groups(make_network(), weight_decay=0.1)
    assert [(group["params"], group["weight_decay"]) for group in found] == [
        (["low.bias", "norm.weight", "norm.bias", "high.bias"], 0.0),
        (["low.weight", "high.weight"], 0.1),
    ]


def test_one_option_lets_biases_and_scales_decay():
    found = make_groups(make_network(), weight_decay=0.1, decay_biases_and_norms=True)
    assert [(len(group["params"]), group["weight_decay"]) for group in found] == [(6, 0.1)]


def test_without_decay_nothing_is_split():
    assert [len(group["params"]) for group in make_groups(make_network(), weight_decay=0.0)] == [6]


def test_a_bias_of_two_dimensions_does_not_decay():
    network = nn.ParameterDict({"query_bias": torch.ones(2, 3), "query": torch.ones(2, 3)})
    found = make_groups(network)
    assert [(group["params"], group["weight_decay"]) for group in found] == [
        (["query_bias"], 0.0),
        (["query"], 0.01),
    ]


def test_a_group_with_a_weight_decay_of_its_own_has_it_for_all_its_parameters():
    found = make_groups(make_network(), [["low"], {"weight_decay": 0.5}], [["norm"], {"lr": 1.0}])
    assert [(group["params"], group["weight_decay"]) for group in found] == [
        (["low.weight", "low.bias"], 0.5),
        (["norm.weight", "norm.bias"], 0.0),
        (["high.bias"], 0.0),
        (["high.weight"], 0.01),
    ]


def test_the_fine_tuning_of_the_configs_spares_what_bert_calls_bias_and_norm():
    config, _ = read_config(FIXTURES.parent / "configs" / "lib" / "fine_tuning.libsonnet")
    settings = {key: value for key, value in config["trainer"]["optimizer"].items() if key != "type"}
    sizes = {"hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 8}
    bert = BertModel(BertConfig(vocab_size=10, num_hidden_layers=2, **sizes))
    found = [set(group["params"]) for group in make_groups(bert, **settings)]
    names = {name for name, _ in bert.named_parameters()}
    spared = {name for name in names if re.search(r"bias$|norm\.weight$", name)}
    assert found == [spared, names - spared]
