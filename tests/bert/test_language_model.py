"""The decoder: its cache, and what it writes."""

from __future__ import annotations

import logging

import pytest
import torch

from bertx.bert.config import BertConfig
from bertx.bert.language_model import BertLMHeadModel
from bertx.bert.model import BertModel
from tests.bert.both_heads import both
from tests.bert.reference import SIZES, randomized

DECODER = SIZES | {"is_decoder": True, "max_position_embeddings": 40}
IDS = torch.randint(3, 50, (3, 8), generator=torch.Generator().manual_seed(0))
MEMORY = torch.randn(3, 5, 24, generator=torch.Generator().manual_seed(1))
MEMORY_MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]])


def decoder(**settings: object) -> BertLMHeadModel:
    return randomized(BertLMHeadModel(BertConfig.from_dict(DECODER | settings)))


def seen(is_sequel: bool) -> dict[str, torch.Tensor]:
    return {"encoder_hidden_states": MEMORY, "encoder_attention_mask": MEMORY_MASK} if is_sequel else {}


def test_a_token_does_not_see_those_after_it():
    model, changed = decoder(), IDS.clone()
    changed[:, 5:] = 7
    assert torch.equal(model(IDS).logits[:, :5], model(changed).logits[:, :5])
    assert not torch.equal(model(IDS).logits[:, 5:], model(changed).logits[:, 5:])


@pytest.mark.parametrize("has_memory", [False, True])
@pytest.mark.parametrize("parts", [(1,) * 8, (3, 5), (7, 1)])
def test_with_a_cache_a_decoder_computes_what_it_computes_at_once(has_memory, parts):
    model = decoder(add_cross_attention=has_memory)
    wanted, cache, found = model(IDS, **seen(has_memory)).logits, None, []
    for part in IDS.split(parts, dim=1):
        output = model(part, past_key_values=cache, **seen(has_memory))
        cache = output.past_key_values
        found.append(output.logits)
    torch.testing.assert_close(torch.cat(found, dim=1), wanted, atol=1e-5, rtol=1e-5)
    assert cache[1].key.shape == (3, 3, 8, 8)


def test_a_cache_keeps_to_the_mask_of_all_tokens():
    model, mask = decoder(), torch.ones_like(IDS)
    mask[0, :3] = 0
    cache = model(IDS[:, :6], mask[:, :6]).past_key_values
    found = model(IDS[:, 6:], mask, past_key_values=cache).logits
    torch.testing.assert_close(found, model(IDS, mask).logits[:, 6:], atol=1e-5, rtol=1e-5)


def test_keys_and_values_of_the_memory_are_computed_once():
    model = decoder(add_cross_attention=True)
    cache = model(IDS[:, :4], **seen(True)).past_key_values
    further = model(IDS[:, 4:5], past_key_values=cache, **seen(True)).past_key_values
    assert further[0].memory_key is cache[0].memory_key


@pytest.mark.parametrize("asked", [{"use_cache": False}, {"labels": IDS}])
def test_a_cache_is_left_out_where_it_is_not_wanted(asked):
    assert decoder()(IDS, **asked).past_key_values is None


def test_an_encoder_has_no_cache():
    assert BertModel(BertConfig(**SIZES))(IDS, use_cache=True).past_key_values is None


def test_an_input_that_is_too_long_for_its_past_is_refused():
    model = decoder(max_position_embeddings=9)
    cache = model(IDS).past_key_values
    with pytest.raises(ValueError, match="a sequence has 10 tokens; the encoder takes at most 9"):
        model(IDS[:, :2], past_key_values=cache)


def test_without_cross_attention_there_is_no_use_for_a_memory():
    with pytest.raises(ValueError, match="encoder_hidden_states are given, but the config has no add_cross"):
        decoder()(IDS, **seen(True))


@pytest.mark.parametrize("kept", [1, 3, torch.tensor([0, 2])])
def test_logits_of_some_tokens_are_those_of_transformers(kept):
    reference, ours = both("BertLMHeadModel", dict(DECODER))
    wanted, got = reference(IDS, logits_to_keep=kept).logits, ours(IDS, logits_to_keep=kept).logits
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_a_language_model_that_sees_what_it_predicts_is_a_warning(caplog):
    with caplog.at_level(logging.WARNING, "bertx"):
        BertLMHeadModel(BertConfig(**SIZES))
    assert caplog.messages == [
        "BertLMHeadModel: is_decoder is false, so that pieces see those they are to predict"
    ]


def test_what_is_compared_is_no_dull_text():
    _, ours = both("BertLMHeadModel", dict(DECODER))
    texts = written(ours)[:, IDS.shape[1] :]
    assert [len(set(text)) for text in texts.tolist()] == [4, 4, 7]


def written(model: torch.nn.Module, mask: torch.Tensor | None = None, **settings: object) -> torch.Tensor:
    mask = torch.ones_like(IDS) if mask is None else mask
    return model.generate(IDS, attention_mask=mask, max_new_tokens=12, pad_token_id=2, **settings)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("eos_token_id", [None, 5, [3, 7, 9, 11, 13]])
def test_greedy_texts_are_those_of_transformers(seed, eos_token_id):
    reference, ours = both("BertLMHeadModel", dict(DECODER), seed)
    wanted = written(reference, eos_token_id=eos_token_id, do_sample=False)
    assert torch.equal(written(ours, eos_token_id=eos_token_id), wanted)
    assert torch.equal(written(ours, eos_token_id=eos_token_id, use_cache=False), wanted)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("eos_token_id", [None, 5, [3, 7, 9, 11, 13]])
@pytest.mark.parametrize(
    ("num_beams", "early_stopping", "length_penalty"),
    [(2, False, 1.0), (4, True, 1.0), (3, "never", 2.0), (3, False, 0.0), (3, True, -1.0), (3, "never", -1)],
)
def test_texts_of_a_search_are_those_of_transformers(
    seed, eos_token_id, num_beams, early_stopping, length_penalty
):
    reference, ours = both("BertLMHeadModel", dict(DECODER), seed)
    settings = {
        "eos_token_id": eos_token_id,
        "num_beams": num_beams,
        "early_stopping": early_stopping,
        "length_penalty": length_penalty,
    }
    wanted = written(reference, do_sample=False, **settings)
    assert torch.equal(written(ours, **settings), wanted)
    assert torch.equal(written(ours, use_cache=False, **settings), wanted)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_padding_on_the_left_is_passed_over_as_in_transformers(num_beams):
    reference, ours = both("BertLMHeadModel", dict(DECODER))
    mask = torch.ones_like(IDS)
    mask[0, :3] = mask[2, :1] = 0
    wanted = written(reference, mask, num_beams=num_beams, do_sample=False)
    assert torch.equal(written(ours, mask, num_beams=num_beams), wanted)


def test_without_a_mask_padding_is_what_has_its_id():
    _, model = both("BertLMHeadModel", dict(DECODER))
    ids = IDS.clone()
    ids[1, :4] = 0
    got = model.generate(ids, max_new_tokens=5)
    assert torch.equal(got, model.generate(ids, ids != 0, max_new_tokens=5))
    assert not torch.equal(got, model.generate(ids, torch.ones_like(ids), max_new_tokens=5))


def test_ends_and_padding_may_be_those_of_the_config():
    plain, ends = decoder(), decoder(eos_token_id=[3, 7, 9], pad_token_id=2)
    wanted = plain.generate(IDS, IDS > 0, eos_token_id=[3, 7, 9], pad_token_id=2, max_new_tokens=12)
    assert torch.equal(ends.generate(IDS, IDS > 0, max_new_tokens=12), wanted)


def test_a_search_that_ends_early_is_filled_with_padding():
    model = decoder()
    texts = model.generate(IDS, IDS > 0, eos_token_id=list(range(3, 40)), pad_token_id=0, num_beams=2)
    for text in texts[:, IDS.shape[1] :].tolist():
        end = next((place for place, piece in enumerate(text) if 3 <= piece < 40), len(text))
        assert set(text[end + 1 :]) <= {0}
