"""The encoder: its numbers are those of the reference implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from bertx.bert.attention import visible_tokens
from bertx.bert.checkpoints.huggingface import save_weights
from bertx.bert.config import BertConfig
from bertx.bert.heads import BertForMaskedLM
from bertx.bert.model import BertModel
from bertx.bert.prediction_head import BertPredictionHead
from bertx.errors import ConfigError
from tests.bert.reference import SIZES, both_models, random_batch, randomized

TINY = BertConfig(**SIZES, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def gradients_by_reference_name(model: BertModel, folder: Path) -> dict[str, torch.Tensor]:
    for parameter in model.parameters():
        parameter.data = parameter.grad
    save_weights(model, folder)
    return load_file(folder / "model.safetensors")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layers=st.integers(1, 3),
    heads=st.integers(1, 4),
    head_size=st.integers(1, 16),
    intermediate_size=st.integers(1, 40),
    activation=st.sampled_from(["gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh", "swish"]),
    batch=st.integers(1, 4),
    tokens=st.integers(1, 16),
)
def test_outputs_are_those_of_the_reference(
    tmp_path, layers, heads, head_size, intermediate_size, activation, batch, tokens
):
    sizes = {"num_hidden_layers": layers, "num_attention_heads": heads, "hidden_size": heads * head_size}
    reference, ours = both_models(
        tmp_path, **sizes, intermediate_size=intermediate_size, hidden_act=activation
    )
    inputs = random_batch(batch, tokens)
    wanted = reference(**inputs | {"attention_mask": inputs["attention_mask"].long()})
    got = ours(**inputs)
    real = inputs["attention_mask"]
    torch.testing.assert_close(
        got.last_hidden_state[real], wanted.last_hidden_state[real], atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(got.pooled, wanted.pooler_output, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("left_out", ["attention_mask", "token_type_ids"])
def test_what_is_left_out_has_the_default_of_the_reference(tmp_path, left_out):
    reference, ours = both_models(tmp_path)
    inputs = {name: value for name, value in random_batch().items() if name != left_out}
    got, wanted = ours(**inputs), reference(**inputs)
    torch.testing.assert_close(got.last_hidden_state, wanted.last_hidden_state, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "silu"])
def test_every_gradient_is_that_of_the_reference(tmp_path, activation):
    reference, ours = both_models(tmp_path, hidden_act=activation)
    inputs = random_batch()
    real = inputs["attention_mask"].float().unsqueeze(-1)
    weights = torch.randn(4, 9, 24, generator=torch.Generator().manual_seed(2)) * real
    wanted, got = reference(**inputs), ours(**inputs)
    ((wanted.last_hidden_state * weights).sum() + wanted.pooler_output.pow(3).sum()).backward()
    ((got.last_hidden_state * weights).sum() + got.pooled.pow(3).sum()).backward()
    found = gradients_by_reference_name(ours, tmp_path)
    expected = {name: parameter.grad for name, parameter in reference.named_parameters()}
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_padding_does_not_change_the_hidden_states():
    model = BertModel(TINY).eval()
    ids = torch.tensor([[5, 6, 7]])
    padded = torch.tensor([[5, 6, 7, 0, 0, 9]])
    mask = torch.tensor([[True, True, True, False, False, False]])
    got = model(padded, mask).last_hidden_state[:, :3]
    torch.testing.assert_close(got, model(ids).last_hidden_state, atol=1e-6, rtol=1e-6)


def test_a_batch_gives_what_its_sequences_give_alone():
    model = BertModel(TINY).eval()
    batch = random_batch(8)
    alone = [model(**{k: v[i : i + 1] for k, v in batch.items()}).pooled for i in range(8)]
    torch.testing.assert_close(torch.cat(alone), model(**batch).pooled, atol=1e-6, rtol=1e-6)


def test_a_mask_of_ones_and_zeros_means_the_same_as_one_of_bools():
    model = BertModel(TINY).eval()
    batch = random_batch()
    as_ints = batch | {"attention_mask": batch["attention_mask"].long()}
    assert torch.equal(model(**batch).pooled, model(**as_ints).pooled)


@pytest.mark.parametrize("training", [True, False])
def test_a_row_of_nothing_but_padding_is_finite_in_both_directions(training):
    model = BertModel(TINY).train(training)
    output = model(torch.zeros(2, 4, dtype=torch.long), torch.tensor([[True] * 4, [False] * 4]))
    output.last_hidden_state.sum().backward()
    assert output.last_hidden_state.isfinite().all()
    assert all(p.grad.isfinite().all() for n, p in model.named_parameters() if not n.startswith("pooler"))


def test_a_row_of_nothing_but_padding_does_not_change_the_other_rows():
    model = BertModel(TINY).eval()
    ids, mask = torch.tensor([[5, 6, 7], [0, 0, 0]]), torch.tensor([[True, True, False], [False] * 3])
    alone = model(ids[:1], mask[:1]).pooled
    torch.testing.assert_close(model(ids, mask).pooled[:1], alone, atol=1e-6, rtol=1e-6)


def test_a_mask_that_hides_nothing_costs_nothing():
    assert visible_tokens(torch.ones(2, 3, dtype=torch.bool)) is None
    assert visible_tokens(None) is None


def test_visible_tokens_are_those_of_the_mask():
    mask = torch.tensor([[1, 1, 0], [0, 0, 0]])
    assert visible_tokens(mask).tolist() == [[[[True, True, False]]], [[[True, True, True]]]]


def test_dropout_acts_in_training_only():
    model = BertModel(BertConfig(**SIZES))
    ids = torch.tensor([[5, 6, 7]])
    torch.manual_seed(0)
    assert not torch.equal(model.train()(ids).pooled, model(ids).pooled)
    assert torch.equal(model.eval()(ids).pooled, model(ids).pooled)


@pytest.mark.parametrize("rate", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_each_dropout_rate_acts_alone(rate):
    model = BertModel(BertConfig(**SIZES, **dict.fromkeys(DROPOUTS, 0.0) | {rate: 0.5})).train()
    ids = torch.tensor([[5, 6, 7]])
    torch.manual_seed(0)
    assert not torch.equal(model(ids).last_hidden_state, model(ids).last_hidden_state)


DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")


def test_fresh_weights_are_normal_biases_zero_and_norms_one():
    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=5000, hidden_size=64, num_attention_heads=4, num_hidden_layers=1))
    assert model.embeddings.word.weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert model.embeddings.word.weight[0].tolist() == [0.0] * 64
    layer = model.layers[0]
    assert layer.attention.query.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert set(layer.attention.query.bias.tolist()) == {0.0}
    assert (set(layer.attention_norm.weight.tolist()), set(layer.attention_norm.bias.tolist())) == (
        {1.0},
        {0.0},
    )


def test_without_a_pooler_there_is_no_pooled_vector():
    model = BertModel(TINY, add_pooling_layer=False)
    assert model(torch.tensor([[1]])).pooled is None
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]


def test_an_input_that_is_too_long_is_refused():
    message = r"a sequence has 17 tokens; the encoder takes at most 16 \(max_position_embeddings\)"
    with pytest.raises(ValueError, match=message):
        BertModel(TINY)(torch.zeros(1, 17, dtype=torch.long))


def test_training_in_bfloat16_gives_nearly_the_gradients_of_float32():
    model = BertModel(TINY)
    batch = random_batch()
    model(**batch).pooled.sum().backward()
    wanted = model.layers[0].attention.value.weight.grad.clone()
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(**batch).pooled.float().sum().backward()
    error = (model.layers[0].attention.value.weight.grad - wanted).norm() / wanted.norm()
    assert error.item() < 0.05


def test_the_prediction_head_shares_the_word_embedding():
    model = BertForMaskedLM(TINY)
    assert model.head.decoder.weight is model.bert.embeddings.word.weight
    hidden_states = model.bert(torch.tensor([[5, 6, 7]])).last_hidden_state
    assert model.head(hidden_states[0, :2]).shape == (2, 50)
    assert sum(p.numel() for p in BertPredictionHead(TINY, model.bert.embeddings.word).parameters()) == (
        24 * 24 + 24 + 2 * 24 + 50 * 24 + 50
    )


def test_truncated_weights_are_within_two_standard_deviations():
    torch.manual_seed(0)
    sizes = {"vocab_size": 5000, "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 1}
    weight = BertModel(BertConfig(**sizes, initializer="truncated_normal")).embeddings.word.weight
    assert weight.abs().max().item() == pytest.approx(0.04, rel=0.001)
    # The standard deviation of a normal distribution that is cut at two: 0.88 of what it was.
    assert weight.std().item() == pytest.approx(0.02 * 0.8796, rel=0.01)


def both_gradients(one: BertModel, other: BertModel) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    for model in (one, other):
        torch.manual_seed(0)  # for dropout
        model.train()(**random_batch(tokens=16)).pooled.pow(2).sum().backward()
    return [p.grad for p in one.parameters()], [p.grad for p in other.parameters()]


def test_gradient_checkpointing_gives_the_same_gradients():
    plain, saving = randomized(BertModel(BertConfig(**SIZES))), randomized(BertModel(BertConfig(**SIZES)))
    saving.gradient_checkpointing_enable()
    assert all(map(torch.equal, *both_gradients(plain, saving)))


def test_gradient_checkpointing_keeps_less_for_the_backward_pass():
    def kept(**settings: bool) -> int:
        model, numbers = BertModel(BertConfig(**SIZES, **settings)).train(), []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: numbers.append(t.numel()) or t, lambda t: t):
            model(**random_batch())
        return sum(numbers)

    assert kept(gradient_checkpointing=True) < kept() / 2


@pytest.mark.parametrize("chunk", [1, 5, 16, 100])
def test_chunks_of_the_feed_forward_layer_change_nothing(chunk):
    plain = randomized(BertModel(TINY))
    chunked = randomized(BertModel(TINY.updated({"chunk_size_feed_forward": chunk})))
    batch = random_batch(tokens=16)
    torch.testing.assert_close(chunked(**batch).pooled, plain(**batch).pooled, atol=1e-6, rtol=1e-6)
    for got, wanted in zip(*both_gradients(chunked, plain), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_an_activation_may_be_any_function():
    config = TINY.updated({"hidden_act": "relu"})
    named, function = (
        randomized(BertModel(config)),
        randomized(BertModel(config.updated({"hidden_act": torch.relu}))),
    )
    assert torch.equal(named(**random_batch()).pooled, function(**random_batch()).pooled)


@pytest.mark.parametrize(
    "given", [{}, {"input_ids": torch.ones(1, 2).long(), "inputs_embeds": torch.ones(1, 2, 24)}]
)
def test_ids_or_vectors_are_needed_but_not_both(given):
    with pytest.raises(ValueError, match="expected exactly one of input_ids and inputs_embeds"):
        BertModel(TINY)(**given)


def test_vectors_may_be_given_in_place_of_ids():
    model, batch = BertModel(TINY).eval(), random_batch()
    vectors = model.get_input_embeddings()(batch["input_ids"])
    got = model(inputs_embeds=vectors, **{name: batch[name] for name in ("attention_mask", "token_type_ids")})
    assert torch.equal(got.pooled, model(**batch).pooled)


def test_positions_may_be_given():
    model, ids = BertModel(TINY).eval(), torch.tensor([[5, 6, 7]])
    assert torch.equal(model(ids, position_ids=torch.tensor([[0, 1, 2]])).pooled, model(ids).pooled)
    assert not torch.equal(model(ids, position_ids=torch.tensor([[2, 1, 0]])).pooled, model(ids).pooled)


@pytest.mark.parametrize("size", [40, 60])
@pytest.mark.parametrize("is_tied", [True, False])
def test_a_resized_model_keeps_the_pieces_it_has(size, is_tied):
    model = randomized(BertForMaskedLM(TINY.updated({"tie_word_embeddings": is_tied})))
    ids = torch.tensor([[5, 6, 39]])
    before, kept = model(ids).logits, min(size, 50)
    model.resize_token_embeddings(size)
    after = model(ids, labels=ids).logits
    assert (model.config.vocab_size, after.shape[-1]) == (size, size)
    assert torch.equal(after[..., :kept], before[..., :kept])
    assert (model.head.decoder.weight is model.get_input_embeddings().weight) == is_tied
    assert model.head.decoder.bias[kept:].tolist() == [0.0] * (size - kept)


def test_a_resized_model_is_saved_and_loaded(tmp_path):
    model = randomized(BertForMaskedLM(TINY))
    model.resize_token_embeddings(60)
    model.save_pretrained(tmp_path)
    again = BertForMaskedLM.from_pretrained(tmp_path)
    assert torch.equal(again(torch.tensor([[5, 59]])).logits, model(torch.tensor([[5, 59]])).logits)


def test_a_model_cannot_lose_its_padding():
    model = BertModel(BertConfig(**SIZES, pad_token_id=45))
    with pytest.raises(ConfigError, match=r"pad_token_id is 45; expected 0 to vocab_size - 1 \(39\)"):
        model.resize_token_embeddings(40)
    assert model.embeddings.word.weight.shape == (50, 24)


PRESETS = {  # (vocab_size, num_hidden_layers, hidden_size): parameters, as published for KerasHub's presets
    (30522, 2, 128): 4_385_920,
    (30522, 4, 512): 28_763_648,
    (30522, 8, 512): 41_373_184,
    (30522, 12, 768): 109_482_240,
    (28996, 12, 768): 108_310_272,
    (21128, 12, 768): 102_267_648,
    (119547, 12, 768): 177_853_440,
    (30522, 24, 1024): 335_141_888,
    (28996, 24, 1024): 333_579_264,
}


@pytest.mark.parametrize(("sizes", "parameters"), PRESETS.items())
def test_published_sizes_have_the_published_number_of_parameters(sizes, parameters):
    vocab_size, layers, hidden = sizes
    with torch.device("meta"):
        config = BertConfig(vocab_size, hidden, layers, hidden // 64, 4 * hidden)
        assert sum(p.numel() for p in BertModel(config).parameters()) == parameters
