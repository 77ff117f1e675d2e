import re

import pytest
import torch
from torch import nn

from bertx.bert.config import BertConfig
from bertx.bert.lora import Lora, LoraLinear, add_lora, lora_layers, merge_lora
from bertx.bert.model import BertModel
from bertx.errors import ConfigError
from tests.bert.reference import SIZES, random_batch, randomized

CONFIG = BertConfig.from_dict(SIZES)


def adapted(**settings: object) -> BertModel:
    """An encoder with updates, everything random: the updates, too, count for something."""
    model = BertModel(CONFIG)
    add_lora(model, Lora(**({"rank": 3} | settings)))
    return randomized(model)


def pooled(model: BertModel) -> torch.Tensor:
    with torch.inference_mode():
        return model(**random_batch()).pooled


def test_a_fresh_update_changes_nothing():
    model = BertModel(CONFIG).eval()
    before = pooled(model)
    add_lora(model, Lora(4))
    assert torch.equal(pooled(model), before)


def test_the_update_is_alpha_over_rank_times_the_product():
    linear = nn.Linear(2, 2)
    layer = LoraLinear(linear, Lora(1, alpha=3))
    with torch.no_grad():
        linear.weight.copy_(torch.eye(2))
        linear.bias.zero_()
        layer.lora_a.copy_(torch.tensor([[1.0, 2.0]]))
        layer.lora_b.copy_(torch.tensor([[1.0], [-1.0]]))
    assert layer(torch.tensor([1.0, 1.0])).tolist() == [10.0, -8.0]


def test_without_alpha_the_update_counts_once():
    assert [layer.alpha / layer.rank for _, layer in lora_layers(adapted(rank=8))] == [1.0] * 4


def test_query_and_value_have_updates_by_default():
    assert [name for name, _ in lora_layers(adapted())] == [
        "layers.0.attention.query",
        "layers.0.attention.value",
        "layers.1.attention.query",
        "layers.1.attention.value",
    ]


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("attention.output", ["layers.0.attention.output", "layers.1.attention.output"]),
        ("layers.1.*(key|intermediate)", ["layers.1.attention.key", "layers.1.feed_forward.intermediate"]),
        ("pooler.dense", ["pooler.dense"]),
    ],
)
def test_a_target_is_the_end_of_a_name_or_an_expression_for_it(target, names):
    assert [name for name, _ in lora_layers(adapted(targets=(target,)))] == names


def test_only_the_updates_have_gradients():
    model = adapted().train()
    model(**random_batch()).pooled.sum().backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {
        f"layers.{number}.attention.{layer}.lora_{side}"
        for number in (0, 1)
        for layer in ("query", "value")
        for side in ("a", "b")
    }


def test_merged_equals_unmerged():
    model = adapted(alpha=7.0, targets=("query", "key", "value", "output", "intermediate"))
    before = pooled(model)
    assert (before - pooled(BertModel(CONFIG).eval())).abs().max() > 0.1
    merge_lora(model)
    assert list(lora_layers(model)) == []
    assert (pooled(model) - before).abs().max() <= 1e-6


def test_a_merged_encoder_has_the_names_and_frozen_weights_of_a_plain_one():
    model = adapted()
    merge_lora(model)
    assert model.state_dict().keys() == BertModel(CONFIG).state_dict().keys()
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_dropout_is_on_the_input_of_the_update_alone():
    layer = LoraLinear(nn.Linear(4, 4), Lora(2, dropout=0.5))
    given = torch.ones(3, 4)
    assert torch.equal(layer(given), layer(given))  # B is still 0
    nn.init.ones_(layer.lora_b)
    torch.manual_seed(0)
    assert not torch.equal(layer(given), layer(given))
    layer.eval()
    assert torch.equal(layer(given), layer(given))


def test_a_target_that_is_no_layer_is_refused():
    with pytest.raises(ConfigError) as caught:
        add_lora(BertModel(CONFIG), Lora(4, targets=("query", "querry")))
    assert str(caught.value) == (
        'lora.targets: no linear layer is called "querry"; the encoder has layers.#.attention.query, '
        "layers.#.attention.key, layers.#.attention.value, layers.#.attention.output, "
        "layers.#.feed_forward.intermediate, layers.#.feed_forward.output, pooler.dense, "
        "where # is the number of a layer"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "lora.rank: 0; expected at least 1"),
        ({"rank": 1, "alpha": 0.0}, "lora.alpha: 0.0; expected more than 0, or null for the rank"),
        ({"rank": 1, "dropout": 1.0}, "lora.dropout: 1.0; expected at least 0 and less than 1"),
        ({"rank": 1, "targets": ()}, 'lora.targets: is empty; expected names of layers such as "query"'),
        (
            {"rank": 1, "targets": ("(",)},
            'lora.targets: "(" is no regular expression (missing ), unterminated subpattern at position 0)',
        ),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Lora(**settings)


def test_nothing_that_would_lose_the_updates_is_done(tmp_path):
    model = adapted()
    with pytest.raises(ValueError, match=r"the model has LoRA updates; call merge_lora\(model\) first"):
        model.save_pretrained(tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    with pytest.raises(ValueError, match=r"cannot be pruned; call merge_lora\(model\) first"):
        model.prune_heads({0: [0]})
    merge_lora(model)
    model.prune_heads({0: [0]})
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(pooled(BertModel.from_pretrained(tmp_path)), pooled(model))
