"""Attention heads that are masked or taken out."""

from __future__ import annotations

import pytest
import torch

from bertx.bert.checkpoints.huggingface import load_weights
from bertx.bert.config import BertConfig
from bertx.bert.model import BertModel
from bertx.bert.task_heads import BertForSequenceClassification
from bertx.errors import ConfigError
from tests.bert.reference import SIZES, random_batch, randomized

CONFIG = BertConfig(**SIZES)  # two layers of three heads


def model(config: BertConfig = CONFIG) -> BertModel:
    return randomized(BertModel(config))


def mask_without(heads: dict[int, list[int]]) -> torch.Tensor:
    mask = torch.ones(2, 3)
    for layer, numbers in heads.items():
        mask[layer, numbers] = 0.0
    return mask


@pytest.mark.parametrize("heads", [{0: [1]}, {1: [0, 2]}, {0: [0], 1: [2]}, {0: [0, 1, 2]}])
def test_a_pruned_model_computes_what_a_masked_one_does(heads):
    pruned = model()
    pruned.prune_heads(heads)
    wanted = model()(**random_batch(), head_mask=mask_without(heads)).last_hidden_state
    torch.testing.assert_close(pruned(**random_batch()).last_hidden_state, wanted, atol=1e-6, rtol=1e-6)


def test_pruned_heads_take_their_weights_with_them():
    pruned = model()
    pruned.prune_heads({0: [1]})
    attention = pruned.layers[0].attention
    assert attention.query.weight.shape == attention.value.weight.shape == (16, 24)
    assert attention.output.weight.shape == (24, 16)
    assert attention.output.bias.shape == (24,)
    pruned(**random_batch()).pooled.sum().backward()
    assert attention.key.weight.grad.shape == (16, 24)


def test_heads_are_numbered_as_before_any_pruning():
    one_by_one, at_once = model(), model()
    one_by_one.prune_heads({0: [0]})
    one_by_one.prune_heads({0: [2]})
    one_by_one.prune_heads({0: [0]})
    at_once.prune_heads({0: [0, 2]})
    assert one_by_one.config.pruned_heads == at_once.config.pruned_heads == {0: [0, 2]}
    assert torch.equal(one_by_one(**random_batch()).pooled, at_once(**random_batch()).pooled)


def test_a_pruned_model_is_saved_and_loaded(tmp_path):
    pruned = randomized(BertForSequenceClassification(CONFIG))
    pruned.prune_heads({1: [0]})
    pruned.save_pretrained(tmp_path)
    again = BertForSequenceClassification.from_pretrained(tmp_path)
    assert again.config.pruned_heads == {1: [0]}
    assert torch.equal(again(**random_batch()).logits, pruned(**random_batch()).logits)


def test_a_mask_counts_pruned_heads_too():
    pruned, mask = model(), torch.tensor([[0.5, 1.0, 2.0], [1.0, 1.0, 1.0]])
    pruned.prune_heads({0: [1]})
    wanted = model()(**random_batch(), head_mask=mask * mask_without({0: [1]})).pooled
    torch.testing.assert_close(pruned(**random_batch(), head_mask=mask).pooled, wanted, atol=1e-6, rtol=1e-6)


def test_a_mask_of_one_dimension_is_for_every_layer():
    mask = torch.tensor([0.0, 1.0, 0.5])
    got = model()(**random_batch(), head_mask=mask).pooled
    assert torch.equal(got, model()(**random_batch(), head_mask=mask.expand(2, 3)).pooled)


def test_a_mask_scales_the_probabilities_that_are_returned():
    mask = torch.tensor([0.0, 1.0, 0.5])
    plain = model()(**random_batch(), output_attentions=True)
    masked = model()(**random_batch(), output_attentions=True, head_mask=mask)
    wanted = plain.attentions[0] * mask[:, None, None]
    torch.testing.assert_close(masked.attentions[0], wanted, atol=1e-6, rtol=1e-6)
    fast = model()(**random_batch(), head_mask=mask).pooled
    torch.testing.assert_close(masked.pooled, fast, atol=1e-5, rtol=1e-5)


def test_a_mask_has_a_gradient():
    mask = torch.ones(2, 3, requires_grad=True)
    model()(**random_batch(), head_mask=mask).pooled.sum().backward()
    assert (mask.grad != 0).all()


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"head_mask has the shape \(4,\); expected \(3,\) or \(2, 3\)"):
        model()(**random_batch(), head_mask=torch.ones(4))


@pytest.mark.parametrize("heads", [{2: [0]}, {0: [3]}])
def test_a_head_that_is_not_there_cannot_be_pruned(heads):
    pruned = model()
    with pytest.raises(ConfigError, match=r"expected layers 0 to 1 and heads 0 to 2"):
        pruned.prune_heads(heads)
    assert torch.equal(pruned(**random_batch()).pooled, model()(**random_batch()).pooled)


def test_a_whole_checkpoint_does_not_fit_a_pruned_config(tmp_path):
    model().save_pretrained(tmp_path)
    with pytest.raises(Exception, match=r"of the wrong shape, e\.g\. encoder\.layer\.0\.attention\.output"):
        load_weights(BertModel(CONFIG.updated({"pruned_heads": {"0": [1]}})), tmp_path)
