import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bertx.bert import BertConfig, BertModel
from bertx.bert.attention import Options
from bertx.bert.frozen.layer import activated, freeze, obstacles
from bertx.bert.frozen.products import ACTIVATIONS, FloatProduct, Int8Product, quantized
from bertx.bert.lora import Lora, add_lora

SIZES = {
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 64,
    "initializer_range": 0.1,
}


def encoder(**changes):
    torch.manual_seed(0)
    return BertModel(BertConfig(**{**SIZES, **changes})).eval()


def frozen(model, dtype=torch.float32, int8=False):
    model = copy.deepcopy(model)
    freeze(model, dtype, int8=int8)
    return model


PLAIN = encoder()
FLOAT32 = frozen(PLAIN)


def batch(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 100, (len(lengths), max(lengths)), generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return ids, mask


def encoded(model, lengths, **options):
    with torch.inference_mode():
        return model(*batch(lengths), **options)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_frozen_layers_compute_what_the_layers_compute(lengths):
    expected, found = encoded(PLAIN, lengths), encoded(FLOAT32, lengths)
    _, mask = batch(lengths)
    torch.testing.assert_close(found.pooled, expected.pooled, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        found.last_hidden_state[mask], expected.last_hidden_state[mask], rtol=0, atol=1e-5
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_the_first_tokens_alone_are_those_of_all(lengths):
    only, whole = encoded(FLOAT32, lengths, only_first=True), encoded(FLOAT32, lengths)
    assert only.last_hidden_state.shape == (len(lengths), 1, 64)
    torch.testing.assert_close(only.pooled, whole.pooled, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "int8", "bound"),
    [(torch.bfloat16, False, 0.03), (torch.float32, True, 0.1), (torch.bfloat16, True, 0.1)],
)
def test_fewer_bits_stay_within_bounds(dtype, int8, bound):
    lengths = [40, 33, 16, 7, 1]
    expected = encoded(PLAIN, lengths).pooled
    found = encoded(frozen(PLAIN, dtype, int8), lengths).pooled
    assert 0 < float((found - expected).abs().max()) < bound


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_computed_in_int8(name):
    model = encoder(hidden_act=name)
    found = encoded(frozen(model, torch.float32, True), [20, 5]).pooled
    assert float((found - encoded(model, [20, 5]).pooled).abs().max()) < 0.1


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300))
def test_few_rows_and_many_become_int8_alike(rows):
    torch.manual_seed(rows)
    product = Int8Product([nn.Linear(16, 16)], torch.float32)
    inputs = quantized(torch.randn(rows, 16))
    values, scale, zero = activated(product, inputs, ACTIVATIONS["gelu"])
    expected = product.of(inputs, ACTIVATIONS["gelu"])
    assert float(((values.float() - zero) * scale - expected).abs().max()) <= scale * 0.51


def test_rows_larger_than_the_first_ones_are_not_cut():
    torch.manual_seed(0)
    linear = nn.Linear(16, 16)
    inputs = torch.randn(512, 16)
    inputs[300:] *= 50
    product = Int8Product([linear], torch.float32)
    values, scale, zero = activated(product, quantized(inputs), ACTIVATIONS["relu"])
    expected = product.of(quantized(inputs), ACTIVATIONS["relu"])
    assert float(((values.float() - zero) * scale - expected).abs().max()) <= scale * 0.51


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_in_stays_no_number_out(value):
    model = frozen(PLAIN, torch.float32, True)
    with torch.inference_mode():
        model.embeddings.word.weight.data[7] = value
        pooled = model(torch.full((2, 9), 7)).pooled
    assert pooled.isnan().all()


def test_the_updates_of_lora_are_merged():
    model = encoder()
    add_lora(model, Lora(rank=4, targets=["query", "intermediate"]))
    for name, parameter in model.named_parameters():
        if name.endswith("lora_b"):
            nn.init.normal_(parameter, std=0.1)
    torch.testing.assert_close(
        encoded(frozen(model), [9, 3]).pooled, encoded(model, [9, 3]).pooled, rtol=0, atol=1e-5
    )


def test_pruned_heads_stay_away():
    model = encoder()
    model.prune_heads({0: [1, 2], 2: [0]})
    torch.testing.assert_close(
        encoded(frozen(model), [9, 3]).pooled, encoded(model, [9, 3]).pooled, rtol=0, atol=1e-5
    )


def test_the_states_of_all_layers_stay_as_they_were():
    model = frozen(PLAIN, torch.float32, True)
    states = encoded(model, [20, 20], output_hidden_states=True).hidden_states
    for number in range(3):
        with torch.inference_mode():
            again, _ = model.layers[number](states[number].clone(), None, Options())
        torch.testing.assert_close(states[number + 1], again, rtol=0, atol=1e-5)


@pytest.mark.parametrize("lengths", [[7, 3], [40, 40, 1]])
def test_segments_and_positions_are_those_of_the_embeddings(lengths):
    ids, mask = batch(lengths)
    for segments in (None, torch.zeros_like(ids), (ids > 50).long()):
        with torch.inference_mode():
            found, expected = (model(ids, mask, segments).pooled for model in (FLOAT32, PLAIN))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_vectors_and_positions_can_be_given_instead():
    ids, _ = batch([9, 9])
    vectors, places = PLAIN.embeddings.word(ids).detach(), torch.arange(9).flip(0)[None]
    with torch.inference_mode():
        for given in ({"inputs_embeds": vectors}, {"input_ids": ids, "position_ids": places}):
            found, expected = (model(**given).pooled for model in (FLOAT32, PLAIN))
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_more_tokens_than_positions_are_refused():
    with pytest.raises(ValueError, match="a sequence has 65 tokens; the encoder takes at most 64"):
        FLOAT32(torch.ones(1, 65, dtype=torch.int64))


def test_frozen_layers_give_hidden_states_only():
    with pytest.raises(ValueError, match="a frozen layer gives hidden states only"):
        encoded(FLOAT32, [3], output_attentions=True)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Linear(2, 2), "the model has no encoder of bertx"),
        (encoder(is_decoder=True), "the encoder is a decoder"),
        (encoder(hidden_act=torch.tanh), "the activation is none of gelu, gelu_new, relu, silu"),
        (FLOAT32, "the encoder has layers of another kind, or without attention heads"),
    ],
)
def test_what_cannot_be_frozen_is_told(model, reason):
    assert obstacles(model) == [reason]
    with pytest.raises(ValueError, match=reason):
        freeze(model, torch.float32, int8=False)


def test_a_plain_encoder_has_no_obstacles():
    assert obstacles(PLAIN) == []


def test_a_layer_makes_five_products_the_last_one_but_one_of_few_rows(monkeypatch):
    rows = []
    for name in ("__call__", "added"):
        real = getattr(FloatProduct, name)
        monkeypatch.setattr(
            FloatProduct,
            name,
            lambda self, inputs, *a, real=real, **o: rows.append(len(inputs)) or real(self, inputs, *a, **o),
        )
    encoded(FLOAT32, [40, 33, 21], only_first=True)
    assert rows == [128] * 10 + [128, 32, 32, 32, 32]
