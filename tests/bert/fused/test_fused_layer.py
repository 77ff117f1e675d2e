"""The fused layer computes what the modules of a layer do, one by one."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bertx.bert.config import BertConfig
from bertx.bert.model import BertModel


def encoder(**changes):
    sizes = {"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
    more = {"intermediate_size": 40, "max_position_embeddings": 64, "initializer_range": 0.3}
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertModel(BertConfig(**(sizes | more | rates | changes))).train()


def watched(model):
    """A copy whose layers are computed step by step, since somebody watches what is inside."""
    copied = copy.deepcopy(model)
    for layer in copied.layers:
        layer.attention.register_forward_hook(lambda *_: None)
    return copied


def batch(rows, tokens, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 50, (rows, tokens), generator=generator)
    lengths = torch.randint(1, tokens + 1, (rows, 1), generator=generator)
    return ids, torch.arange(tokens) < lengths


def gradients(model, ids, mask, only_first):
    output = model(ids, mask, only_first=only_first)
    loss = output.pooled.pow(3).sum() + output.last_hidden_state[:, 0].square().sum()
    if not only_first:
        loss = loss + (output.last_hidden_state * mask[:, :, None]).pow(3).sum()
    loss.backward()
    return output.pooled.detach(), [parameter.grad for parameter in model.parameters()]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 4),
    st.sampled_from([1, 2, 7, 31, 32, 40]),
    st.sampled_from(["gelu", "gelu_new"]),
    st.booleans(),
    st.integers(0, 99),
)
def test_outputs_and_gradients_are_those_of_the_single_steps(rows, tokens, activation, only_first, seed):
    torch.manual_seed(seed)
    model = encoder(hidden_act=activation).double()
    ids, mask = batch(rows, tokens, seed)
    pooled, found = gradients(model, ids, mask, only_first)
    expected_pooled, expected = gradients(watched(model), ids, mask, only_first)
    torch.testing.assert_close(pooled, expected_pooled, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tokens", [9, 40])
def test_bfloat16_differs_from_float32_no_more_than_the_single_steps_do(tokens):
    torch.manual_seed(0)
    model = encoder(hidden_size=96, intermediate_size=200, initializer_range=0.1)
    ids, mask = batch(8, tokens, 1)
    _, exact = gradients(watched(model), ids, mask, False)
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        _, found = gradients(model, ids, mask, False)
        _, stepwise = gradients(watched(model), ids, mask, False)
    errors = [distance(grads, exact) for grads in (found, stepwise)]
    assert errors[0] < 1.1 * errors[1] < 0.1


def distance(found, exact):
    squares = [torch.stack([t.square().sum() for t in ts]).sum() for ts in (differences(found, exact), exact)]
    return float((squares[0] / squares[1]).sqrt())


def differences(found, exact):
    return [one - other for one, other in zip(found, exact, strict=True)]


def test_a_pruned_layer_and_frozen_weights_are_no_exception():
    torch.manual_seed(0)
    model = encoder().double()
    model.prune_heads({0: [1], 1: [0, 1, 2]})
    model.layers[0].requires_grad_(False)
    ids, mask = batch(3, 6, 2)
    _, found = gradients(model, ids, mask, True)
    _, expected = gradients(watched(model), ids, mask, True)
    assert [grad is None for grad in found] == [grad is None for grad in expected]
    learned = [pair for pair in zip(found, expected, strict=True) if pair[0] is not None]
    torch.testing.assert_close(*map(list, zip(*learned, strict=True)), rtol=1e-9, atol=1e-9)


def test_with_dropout_a_gradient_is_that_of_the_same_draws():
    torch.manual_seed(0)
    model = encoder(hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.2).double()
    ids, mask = batch(2, 5, 3)
    weight = model.layers[0].attention.value.weight
    step = torch.randn_like(weight)

    def loss(size):
        moved = copy.deepcopy(model)
        moved.layers[0].attention.value.weight.data += size * step
        torch.manual_seed(1)
        return moved(ids, mask).pooled.pow(2).sum()

    torch.manual_seed(1)
    model(ids, mask).pooled.pow(2).sum().backward()
    by_differences = (loss(1e-5) - loss(-1e-5)) / 2e-5
    torch.testing.assert_close((weight.grad * step).sum(), by_differences, rtol=1e-6, atol=1e-9)


def test_checkpointed_layers_draw_the_same_again():
    torch.manual_seed(0)
    model = encoder(hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.2)
    again = copy.deepcopy(model)
    again.gradient_checkpointing_enable()
    ids, mask = batch(2, 5, 3)
    results = []
    for one in (model, again):
        torch.manual_seed(1)
        results.append(gradients(one, ids, mask, False)[1])
    torch.testing.assert_close(*results)


def test_a_fused_optimizer_that_leaves_no_trace_is_noticed():
    torch.manual_seed(0)
    model = encoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    ids, mask = batch(2, 5, 3)
    for training in (False, True, True, False):
        expected = watched(model)(ids, mask).pooled
        with torch.set_grad_enabled(training):
            pooled = model(ids, mask).pooled
        torch.testing.assert_close(pooled, expected, rtol=1e-4, atol=1e-4)
        if training:
            pooled.sum().backward()
            optimizer.step()
            optimizer.zero_grad()


def test_weights_that_are_replaced_or_changed_in_place_are_noticed():
    torch.manual_seed(0)
    model, other = encoder().eval(), encoder().eval()
    ids, mask = batch(2, 5, 3)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        model(ids, mask)
        model.load_state_dict(other.state_dict())
        assert torch.equal(model(ids, mask).pooled, other(ids, mask).pooled)
        for one in (model, other):
            one.layers[0].attention.key = nn.Linear(24, 24)
        other.load_state_dict(model.state_dict())
        assert torch.equal(model(ids, mask).pooled, other(ids, mask).pooled)


def test_queries_of_the_first_tokens_alone_change_no_pooled_vector():
    torch.manual_seed(0)
    model = encoder().double()
    ids, mask = batch(4, 9, 5)
    for one in (model, watched(model)):
        first = one(ids, mask, only_first=True)
        assert first.last_hidden_state.shape == (4, 1, 24)
        torch.testing.assert_close(first.pooled, one(ids, mask).pooled, rtol=1e-12, atol=1e-12)
