"""Outputs: found by name, by key and by number, and as tuples."""

from __future__ import annotations

import pytest
import torch

from bertx.bert.config import BertConfig
from bertx.bert.model import BertModel
from bertx.bert.outputs import BertOutput
from tests.bert.both_heads import HEADS, Random, both, random_config, random_inputs
from tests.bert.reference import SIZES

HIDDEN, POOLED = torch.zeros(1, 2, 3), torch.ones(1, 3)


def test_a_value_is_found_by_name_key_and_number():
    output = BertOutput(HIDDEN, POOLED)
    assert output.pooler_output is output["pooler_output"] is output[1] is output.pooled is POOLED
    assert output[:1] == (HIDDEN,)


def test_what_is_absent_has_no_key_and_no_number():
    output = BertOutput(HIDDEN, attentions=(POOLED,))
    assert (list(output), len(output)) == (["last_hidden_state", "attentions"], 2)
    assert "pooler_output" not in output
    assert output[1] == (POOLED,)
    with pytest.raises(KeyError, match="pooler_output"):
        output["pooler_output"]


def test_an_output_is_a_mapping():
    assert dict(BertOutput(HIDDEN, POOLED)) == {"last_hidden_state": HIDDEN, "pooler_output": POOLED}
    assert BertOutput(HIDDEN).get("pooler_output") is None


@pytest.mark.parametrize("head", HEADS)
def test_tuples_are_those_of_transformers(head):
    random = Random(3)
    settings = random_config(head, random) | {"is_decoder": False, "add_cross_attention": False}
    reference, ours = both(head, settings)
    inputs = random_inputs(head, ours.config, random)
    asked = {"output_hidden_states": True, "return_dict": False}
    wanted, got = reference(**inputs, **asked), ours(**inputs, **asked)
    assert isinstance(got, tuple)
    assert [shape_of(value) for value in got] == [shape_of(value) for value in wanted]


def shape_of(value: torch.Tensor | tuple[torch.Tensor, ...]) -> list[tuple[int, ...]]:
    return [tuple(part.shape) for part in ([value] if isinstance(value, torch.Tensor) else value)]


def test_the_config_may_ask_for_tuples_and_for_more():
    settings = {"output_attentions": True, "output_hidden_states": True, "return_dict": False}
    model = BertModel(BertConfig(**SIZES, **settings))
    hidden, pooled, states, attentions = model(torch.tensor([[5, 6]]))
    assert (hidden.shape, pooled.shape) == ((1, 2, 24), (1, 24))
    assert ([state.shape for state in states], [weights.shape for weights in attentions]) == (
        [(1, 2, 24)] * 3,
        [(1, 3, 2, 2)] * 2,
    )


def test_an_output_goes_through_a_compiled_model():
    model = BertModel(BertConfig(**SIZES)).eval()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(compiled(ids).pooler_output, model(ids).pooler_output)
