import logging
import re

import pytest
import torch
from torch import nn

from bertx.config.construct import plan
from bertx.errors import ConfigError
from bertx.training.optimizers import Optimizer

REFERENCE = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def make_network() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"low": nn.Linear(3, 4), "norm": nn.LayerNorm(4), "high": nn.Linear(4, 2)})


def make_optimizer(network: nn.Module, name: str = "adamw", **settings) -> torch.optim.Optimizer:
    named = list(network.named_parameters())
    return plan(Optimizer, {"type": name, **settings}).build(named_parameters=named)


def after(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 7) -> torch.Tensor:
    """Trains on a small problem; returns all weights."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        hidden = network["norm"](network["low"](torch.randn(8, 3, generator=generator)))
        network["high"](hidden.relu()).square().sum().backward()
        optimizer.step()
    return nn.utils.parameters_to_vector(network.parameters())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("adamw", {}),
        ("adamw", {"lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1}),
        ("adamw", {"amsgrad": True}),
        ("adam", {}),
        ("adam", {"lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
        ("sgd", {"lr": 0.01}),
        ("sgd", {"lr": 0.01, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1}),
        ("sgd", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    ],
)
def test_steps_equal_those_of_torch(name, settings):
    ours, theirs = make_network(), make_network()
    reference = REFERENCE[name](theirs.parameters(), **settings)
    found = after(ours, make_optimizer(ours, name, **settings))
    torch.testing.assert_close(found, after(theirs, reference), atol=1e-6, rtol=0)


def test_a_group_s_options_equal_those_of_torch():
    ours, theirs = make_network(), make_network()
    plain = {"lr": 0.02, "weight_decay": 0.0, "betas": [0.5, 0.6], "eps": 1e-2}
    optimizer = make_optimizer(ours, lr=0.01, parameter_groups=[[["bias$", "norm"], plain]])
    named = dict(theirs.named_parameters())
    special = [value for name, value in named.items() if name.endswith("bias") or "norm" in name]
    others = [named["low.weight"], named["high.weight"]]
    reference = torch.optim.AdamW([{"params": special, **plain}, {"params": others}], lr=0.01)
    torch.testing.assert_close(after(ours, optimizer), after(theirs, reference), atol=1e-6, rtol=0)


def groups_of(network: nn.Module, *groups, **settings) -> list[list[str]]:
    """The names of the parameters in each of the optimizer's groups."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    optimizer = make_optimizer(network, parameter_groups=list(groups), **settings)
    return [[names[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]


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


def test_nothing_to_train_is_refused():
    message = r"^trainer\.optimizer: there is nothing to train: every parameter is frozen\n"
    with pytest.raises(ConfigError, match=message):
        groups_of(make_network(), [["."], {"requires_grad": False}])


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


def test_a_group_takes_the_options_of_its_optimizer_only():
    with pytest.raises(ConfigError, match=r"parameter_groups\.0\.1\.momentum: unknown key"):
        groups_of(make_network(), [["low"], {"momentum": 0.5}])
    with pytest.raises(ConfigError, match=r"parameter_groups\.0\.1\.betas: unknown key"):
        groups_of(make_network(), [["low"], {"betas": [0.5, 0.5]}], name="sgd", lr=0.1)


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


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("adamw", {"lr": -1.0}, "Invalid learning rate: -1.0"),
        ("adam", {"betas": [0.9, 1.0]}, r"Invalid beta parameter at index 1: 1.0"),
        ("sgd", {"lr": 0.1, "nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    ],
)
def test_what_torch_refuses_is_a_mistake_in_the_config(name, settings, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.optimizer: {message}\nwhile building {name}$"):
        make_optimizer(make_network(), name, **settings)


def test_defaults_are_those_of_allennlp():
    adamw, adam = (make_optimizer(make_network(), name).defaults for name in ("adamw", "adam"))
    assert (adamw["lr"], adamw["weight_decay"], adamw["betas"], adamw["eps"]) == (
        1e-3,
        0.01,
        (0.9, 0.999),
        1e-8,
    )
    assert (adam["lr"], adam["weight_decay"]) == (1e-3, 0.0)
