import logging

import pytest
import torch
from torch import nn

from bertx.bert.config import BertConfig
from bertx.bert.lora import Lora
from bertx.config.construct import plan
from bertx.errors import ConfigError
from bertx.models.bert_for_classification import BertForClassification
from bertx.models.masked_language_model import MaskedLanguageModel
from bertx.training.training_scope import GradualUnfreezing, freeze
from tests.training.tiny import vocabulary

EMBEDDINGS, POOLER, HEAD = "bert.embeddings", "bert.pooler", "classifier"
LAYERS = [f"bert.layers.{number}" for number in range(6)]


def make_config() -> BertConfig:
    return BertConfig(
        vocab_size=10, hidden_size=4, num_hidden_layers=6, num_attention_heads=2, intermediate_size=8
    )


def make_model(**named) -> BertForClassification:
    return BertForClassification(vocabulary(), make_config(), **named)


def trained(model: nn.Module) -> list[str]:
    """The parts of the model that are trained; no part is in pieces."""
    state = {True: set(), False: set()}
    for name, parameter in model.named_parameters():
        part = next((part for part in [EMBEDDINGS, POOLER, *LAYERS] if name.startswith(f"{part}.")), HEAD)
        state[parameter.requires_grad].add(part)
    assert not state[True] & state[False]
    return sorted(state[True])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("additional_layers", [HEAD]),
        ("top_layer", [*LAYERS[5:], HEAD]),
        ("top4_layers", [*LAYERS[2:], HEAD]),
        ("all_encoder_layers", [*LAYERS, HEAD]),
        ("all", [EMBEDDINGS, *LAYERS, HEAD]),
        (None, [EMBEDDINGS, *LAYERS, POOLER, HEAD]),
    ],
)
def test_parlai_s_choices_train_ever_more_and_never_the_pooler(choice, expected):
    model = make_model()
    freeze(model, type_optimization=choice)
    assert trained(model) == expected


def test_top4_of_a_smaller_encoder_are_all_its_layers():
    model = BertForClassification(vocabulary(), make_config().updated({"num_hidden_layers": 2}))
    freeze(model, type_optimization="top4_layers")
    assert trained(model) == [*LAYERS[:2], HEAD]


def test_a_language_model_s_head_is_trained_but_for_what_it_shares_with_the_embeddings():
    model = MaskedLanguageModel(make_config())
    freeze(model, type_optimization="additional_layers")
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert names and all(name.startswith("masked_lm.head.") for name in names)
    assert not model.masked_lm.bert.embeddings.word.weight.requires_grad


def test_what_is_frozen_already_stays_so():
    model = make_model(lora=Lora(rank=2))
    freeze(model, type_optimization="top_layer")
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    inside = [name for name in names if not name.startswith(HEAD)]
    assert inside and all(name.startswith(LAYERS[5]) and ".lora_" in name for name in inside)


def test_expressions_are_searched_for_in_names():
    model = make_model()
    freeze(model, no_grad=["embeddings", r"layers\.[0-3]\.", "^bert.pooler"])
    assert trained(model) == [*LAYERS[4:], HEAD]


def test_an_expression_that_matches_nothing_is_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        freeze(nn.Linear(2, 2), no_grad=["LayerNorm", "bias"])
    assert caplog.messages == ['trainer.no_grad: "LayerNorm" picks none of the parameters weight, bias']


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"no_grad": ["("]}, r'trainer\.no_grad: "\(" is no regular expression \(missing \), '),
        (
            {"type_optimization": "top3_layers"},
            r'trainer\.type_optimization: "top3_layers"; expected one of additional_layers, top_layer, '
            "top4_layers, all_encoder_layers, all$",
        ),
        (
            {"no_grad": ["."]},
            r"trainer\.no_grad, trainer\.type_optimization: there is nothing to train: every parameter is ",
        ),
        (
            {"no_grad": [HEAD], "type_optimization": "additional_layers"},
            r"trainer\.no_grad, trainer\.type_optimization: there is nothing to train: every parameter is ",
        ),
    ],
)
def test_impossible_scopes_are_refused(named, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        freeze(make_model(), **named)


def test_without_a_scope_a_frozen_model_is_left_to_the_optimizer_to_refuse():
    model = nn.Linear(2, 2).requires_grad_(False)
    freeze(model, no_grad=[])
    assert not model.weight.requires_grad


def test_a_choice_needs_an_encoder():
    message = (
        r"^trainer\.type_optimization: the model has no BertModel whose layers could be counted; use no_gr"
    )
    with pytest.raises(ConfigError, match=message):
        freeze(nn.Linear(2, 2), type_optimization="all")


def unfreezing(**named: int) -> GradualUnfreezing:
    return plan(GradualUnfreezing, named).build()


def test_layers_join_from_the_top_down_and_the_embeddings_last():
    model, gradual, found = make_model(), unfreezing(), []
    for epoch in range(9):
        gradual.set_epoch(model, epoch)
        found.append(trained(model))
    always = [POOLER, HEAD]
    expected = [[*LAYERS[6 - epoch :], *always] for epoch in range(7)]
    assert found == [*expected, [EMBEDDINGS, *expected[6]], [EMBEDDINGS, *expected[6]]]


@pytest.mark.parametrize(
    ("named", "num_trained"),
    [({"layers_per_epoch": 3}, [0, 3, 6, 7]), ({"start": 0}, [1, 2, 3, 4]), ({"start": 3}, [0, 0, 0, 1])],
)
def test_the_pace_can_be_set(named, num_trained):
    model, gradual = make_model(), unfreezing(**named)
    for epoch, expected in enumerate(num_trained):
        gradual.set_epoch(model, epoch)
        assert len(trained(model)) - 2 == expected


def test_what_is_trained_depends_on_the_epoch_alone():
    resumed, other = make_model(), make_model()
    unfreezing().set_epoch(resumed, 3)
    gradual = unfreezing()
    for epoch in (5, 0, 3):
        gradual.set_epoch(other, epoch)
    assert trained(resumed) == trained(other) == [*LAYERS[3:], POOLER, HEAD]


def test_what_the_scope_froze_stays_frozen():
    model, gradual = make_model(), unfreezing()
    freeze(model, no_grad=["embeddings", r"layers\.5\."], type_optimization="all")
    for epoch in (0, 2, 9):
        gradual.set_epoch(model, epoch)
    assert trained(model) == [*LAYERS[:5], HEAD]


def test_frozen_layers_do_not_move_and_thawed_ones_do():
    model, gradual = make_model(), unfreezing()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    ids = torch.tensor([[1, 2, 3]])
    for epoch in range(2):
        gradual.set_epoch(model, epoch)
        optimizer.zero_grad(set_to_none=True)
        model({"bert": {"input_ids": ids, "attention_mask": ids > 0, "token_type_ids": ids * 0}})[
            "logits"
        ].square().sum().backward()
        optimizer.step()
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert {name.rsplit(".", 1)[0] for name in moved} >= {HEAD, "bert.pooler.dense"}
    assert {name[:13] for name in moved if name.startswith("bert.layers")} == {LAYERS[5]}


def test_nothing_to_train_in_an_epoch_is_refused():
    model = make_model()
    freeze(model, no_grad=[HEAD, "pooler"])
    with pytest.raises(ConfigError, match=r"^trainer\.gradual_unfreezing: there is nothing to train"):
        unfreezing().set_epoch(model, 0)


@pytest.mark.parametrize(("name", "value", "least"), [("layers_per_epoch", 0, 1), ("start", -1, 0)])
def test_an_impossible_pace_is_refused(name, value, least):
    message = rf"^trainer\.gradual_unfreezing\.{name}: {value}; expected at least {least}\n"
    with pytest.raises(ConfigError, match=message):
        unfreezing(**{name: value})
