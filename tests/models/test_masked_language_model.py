import math
import re

import pytest
import torch
import transformers

from bertx.errors import ConfigError
from bertx.models.initializers.applicator import InitializerApplicator
from bertx.models.initializers.drawn import constant
from bertx.models.masked_language_model import MaskedLanguageModel
from tests.bert.reference import random_batch, randomized, reference_config
from tests.models.tiny import CONFIG


@pytest.fixture(scope="module")
def reference():
    return randomized(transformers.BertForMaskedLM(reference_config()))


@pytest.fixture(scope="module")
def model(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    reference.save_pretrained(folder)
    return MaskedLanguageModel(str(folder)).eval()


@pytest.fixture
def batch():
    return random_batch()


@pytest.fixture
def target_ids(batch):
    """Hides three pieces, none of them padding."""
    target_ids = torch.full((4, 9), -100)
    for row, token in ((0, 1), (0, 5), (2, 0)):
        target_ids[row, token] = (row * 7 + token * 3) % 50
    return target_ids


def test_the_loss_equals_that_of_transformers(model, reference, batch, target_ids):
    output = model({"bert": batch}, target_ids)
    expected = reference(**batch, labels=target_ids).loss
    torch.testing.assert_close(output["loss"], expected, atol=1e-5, rtol=0)
    assert output["num_targets"].item() == 3


def test_gradients_equal_those_of_transformers(model, reference, batch, target_ids):
    model({"bert": batch}, target_ids)["loss"].backward()
    reference(**batch, labels=target_ids).loss.backward()
    found = model.masked_lm.bert.embeddings.word.weight.grad
    expected = reference.bert.embeddings.word_embeddings.weight.grad
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_metrics_are_over_hidden_pieces(model, reference, batch, target_ids):
    model.get_metrics(reset=True)
    best = reference(**batch).logits.argmax(dim=-1)
    target_ids[0, 1] = best[0, 1]
    loss = model({"bert": batch}, target_ids)["loss"].item()
    found = model.get_metrics(reset=True)
    assert found == pytest.approx({"perplexity": math.exp(loss), "accuracy": 1 / 3}, rel=1e-6)


def test_pieces_that_are_not_hidden_do_not_count(model, batch, target_ids):
    logits = []
    hook = model.masked_lm.head.register_forward_hook(lambda _, __, output: logits.append(output))
    model({"bert": batch}, target_ids)
    hook.remove()
    assert logits[0].shape == (3, 50)


def test_a_batch_with_nothing_hidden_has_loss_0(model, batch):
    output = model({"bert": batch}, torch.full((4, 9), -100))
    assert (output["loss"].item(), output["num_targets"].item()) == (0.0, 0)


def test_training_without_hidden_pieces_names_the_collator(batch):
    message = (
        "data_loader.collator: no pieces are hidden, so there is nothing to predict; "
        'model "masked_language_model" needs the collator "masked_language_model"'
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        MaskedLanguageModel(CONFIG).train()({"bert": batch})


def test_without_targets_it_predicts_every_position(model, reference, batch):
    output = model({"bert": batch})
    expected = reference(**batch).logits
    torch.testing.assert_close(output["logits"], expected, atol=1e-5, rtol=0)
    assert model.decode(output) == {"top_ids": expected.argmax(dim=-1).tolist()}


def test_the_initializer_sees_encoder_and_head():
    zero_bias = InitializerApplicator(
        [(r"^head\.decoder\.bias$", constant(2.0)), ("^bert.*bias", constant(3.0))]
    )
    model = MaskedLanguageModel(CONFIG, initializer=zero_bias)
    assert model.masked_lm.head.decoder.bias.unique().tolist() == [2.0]
    assert model.masked_lm.bert.layers[1].attention.key.bias.unique().tolist() == [3.0]
    assert model.masked_lm.head.dense.bias.unique().tolist() == [0.0]


def test_the_index_chooses_the_token_indexer(batch):
    model = MaskedLanguageModel(CONFIG, index="other").eval()
    assert list(model.encoder_configs) == ["other"]
    assert model({"other": batch, "bert": {}})["logits"].shape == (4, 9, 50)
    assert model.encoder_config is CONFIG
