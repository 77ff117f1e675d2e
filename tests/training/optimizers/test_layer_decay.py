import re

import pytest
import torch
from torch import nn

from bertx.bert.config import BertConfig
from bertx.bert.encoder_decoder import EncoderDecoder
from bertx.bert.encoder_decoder_config import EncoderDecoderConfig
from bertx.errors import ConfigError
from bertx.training.optimizers.layers import depths
from tests.training.optimizers.problem import OPTIMIZERS, make_optimizer, make_parameters


def rates(optimizer: torch.optim.Optimizer, named) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in named}
    groups = optimizer.param_groups
    return {names[id(p)]: pytest.approx(group["lr"], rel=1e-12) for group in groups for p in group["params"]}


def test_rates_fall_from_the_head_to_the_embeddings():
    named = make_parameters()
    assert rates(make_optimizer(named, "adamw", lr=1.0, layer_decay=0.9), named) == {
        "head.tensor": 1.0,
        "head.bias": 1.0,
        "bert.layers.1.query.weight": 0.9,
        "bert.layers.1.norm.bias": 0.9,
        "bert.layers.0.query.weight": 0.81,
        "bert.layers.0.query.bias": 0.81,
        "bert.embeddings.word.weight": 0.729,
        "bert.embeddings.norm.weight": 0.729,
    }


def test_the_first_group_has_the_full_rate():
    optimizer = make_optimizer(make_parameters(), "adamw", lr=1.0, layer_decay=0.9)
    assert optimizer.param_groups[0]["lr"] == 1.0


def test_the_rate_of_a_group_falls_as_well():
    named = make_parameters()
    groups = [[["query"], {"lr": 10.0}]]
    found = rates(make_optimizer(named, "sgd", lr=1.0, layer_decay=0.5, parameter_groups=groups), named)
    assert (found["bert.layers.1.query.weight"], found["bert.layers.0.query.bias"]) == (5.0, 2.5)
    assert (found["bert.layers.1.norm.bias"], found["head.bias"]) == (0.5, 1.0)


def test_layers_and_weight_decay_are_told_apart_together():
    optimizer = make_optimizer(make_parameters(), "adamw", lr=1.0, layer_decay=0.5, weight_decay=0.1)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [
        (1.0, 0.0),
        (1.0, 0.1),
        (0.5, 0.0),
        (0.5, 0.1),
        (0.25, 0.0),
        (0.25, 0.1),
        (0.125, 0.0),
        (0.125, 0.1),
    ]


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"lbfgs", "multi"}))
def test_every_optimizer_takes_a_layer_decay(name):
    optimizer = make_optimizer(
        make_parameters(matrices_only=name == "muon"), name, **OPTIMIZERS[name], layer_decay=0.5
    )
    assert optimizer.param_groups[-1]["lr"] == optimizer.defaults["lr"] * 0.125


def test_frozen_layers_count():
    named = make_parameters()
    for name, parameter in named:
        parameter.requires_grad = "layers.1" not in name
    found = rates(make_optimizer(named, "adam", lr=1.0, layer_decay=0.5), named)
    assert found["bert.layers.0.query.weight"] == 0.25
    assert not any("layers.1" in name for name in found)


def test_depths_are_counted_for_each_encoder():
    sizes = {"hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 9}
    small = BertConfig(num_hidden_layers=1, **sizes)
    large = BertConfig(num_hidden_layers=3, is_decoder=True, add_cross_attention=True, **sizes)
    model = EncoderDecoder(EncoderDecoderConfig(small, large))
    found = depths([name for name, _ in model.named_parameters()])
    kinds = {re.sub(r"(layers\.\d+|embeddings).*", r"\1", name): depth for name, depth in found.items()}
    assert kinds == {
        "encoder.embeddings": 2,
        "encoder.layers.0": 1,
        "decoder.bert.embeddings": 4,
        "decoder.bert.layers.0": 3,
        "decoder.bert.layers.1": 2,
        "decoder.bert.layers.2": 1,
    }


def test_names_of_hugging_face_are_understood():
    names = ["bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.x", "bert.encoder.layer.11.x"]
    assert depths([*names, "bert.pooler.dense.weight"]) == dict(zip(names, (13, 12, 1), strict=True))


def test_layers_of_a_head_are_not_the_encoder_s():
    assert depths(["bert.embeddings.x", "bert.layers.0.x", "head.layers.0.x", "head.layers.1.x"]) == {
        "bert.embeddings.x": 2,
        "bert.layers.0.x": 1,
    }


@pytest.mark.parametrize("factor", [0.0, -0.9, 1.1])
def test_an_impossible_factor_is_refused(factor):
    message = rf"^trainer\.optimizer\.layer_decay: {factor}; expected more than 0 and at most 1, or null\n"
    with pytest.raises(ConfigError, match=message):
        make_optimizer(make_parameters(), "adamw", layer_decay=factor)


def test_a_model_without_layers_is_refused():
    message = (
        "trainer.optimizer.layer_decay: the model has no encoder whose parameters are called embeddings... "
        "and layers.0..., layers.1..., but weight, bias; leave layer_decay out\nwhile building adamw"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make_optimizer(list(nn.Linear(2, 2).named_parameters()), "adamw", layer_decay=0.9)
