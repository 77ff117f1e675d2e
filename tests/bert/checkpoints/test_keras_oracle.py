"""KerasHub itself: it computes with what we write what we compute, and we with what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bertx.bert.checkpoints.huggingface import parameters_by_name
from bertx.bert.checkpoints.keras import write_keras_archive, write_keras_preset
from bertx.bert.checkpoints.keras_objects import KerasModel
from bertx.bert.config import BertConfig
from bertx.bert.heads import BertForMaskedLM, BertForPreTraining
from bertx.bert.model import BertModel
from bertx.bert.task_heads import BertForSequenceClassification
from bertx.bert.tokenization.tokenizer import BertTokenizer
from tests.bert.reference import randomized

pytestmark = pytest.mark.oracle

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "quick",
    "brown",
    "fox",
    "##es",
    ".",
    "é",
    "ss",
]
TEXTS = ["The quick brown fox.", "foxes É ß", ". " * 30, "[CLS] the [MASK]"]
POSITIONS = 20
TOLERANCE = 1e-6
# Twelve layers, since names with numbers of two digits sort otherwise.
CONFIGS = [
    BertConfig(
        vocab_size=len(PIECES),
        hidden_size=4 * heads,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=10,
        max_position_embeddings=POSITIONS,
        type_vocab_size=3,
        hidden_act="gelu_new",
        num_labels=labels,
    )
    for layers, heads, labels in [(1, 1, 2), (2, 3, 5), (12, 2, 3)]
]


@pytest.fixture(scope="module")
def keras_hub():
    import keras_hub

    return keras_hub


def tokenizer() -> BertTokenizer:
    vocab = {piece: id_ for id_, piece in enumerate(PIECES)}
    return BertTokenizer(vocab, strip_accents=False, word_rules="keras_hub", split_special_tokens=True)


def random_inputs(seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, POSITIONS + 1, 5)
    return {
        "token_ids": generator.integers(0, len(PIECES), (5, POSITIONS)),
        "segment_ids": generator.integers(0, 3, (5, POSITIONS)),
        "padding_mask": (np.arange(POSITIONS) < lengths[:, None]).astype(int),
    }


def ours(model: torch.nn.Module, arrays: dict[str, np.ndarray]):
    names = ("token_ids", "padding_mask", "segment_ids")
    with torch.no_grad():
        return model(*(torch.from_numpy(arrays[name]) for name in names))


def written(folder: Path, model: torch.nn.Module, task: str | None, form: str) -> str:
    described = KerasModel(model.config, task, sequence_length=POSITIONS)
    tensors = {name: value.detach() for name, value in parameters_by_name(model).items()}
    if form == "archive":
        write_keras_archive(folder / "model.keras", described, tensors, tokenizer())
        return str(folder / "model.keras")
    limit = 1000 if form == "shards" else 10**9
    write_keras_preset(folder, described, tensors, tokenizer(), max_shard_bytes=limit)
    return str(folder)


def difference(one: object, other: torch.Tensor) -> float:
    return float(np.abs(np.asarray(one) - other.numpy()).max())


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("form", ["preset", "shards"])
def test_kerashub_computes_with_our_encoder_what_we_compute(keras_hub, tmp_path, config, form):
    model = randomized(BertModel(config))
    backbone = keras_hub.models.BertBackbone.from_preset(written(tmp_path, model, None, form))
    for seed in range(10):
        arrays = random_inputs(seed)
        found, wanted, real = backbone(arrays), ours(model, arrays), arrays["padding_mask"].astype(bool)
        hidden = found["sequence_output"].detach().numpy()[real]
        assert difference(hidden, wanted.last_hidden_state[real]) <= TOLERANCE
        assert difference(found["pooled_output"].detach(), wanted.pooled) <= TOLERANCE


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("form", ["preset", "shards", "archive"])
def test_kerashub_predicts_with_our_classifier_what_we_predict(keras_hub, tmp_path, config, form):
    import keras

    model = randomized(BertForSequenceClassification(config))
    path = written(tmp_path, model, "BertTextClassifier", form)
    load = keras.saving.load_model if form == "archive" else keras_hub.models.BertTextClassifier.from_preset
    classifier = load(path)
    encoded = tokenizer()(
        TEXTS, padding="max_length", truncation=True, max_length=POSITIONS, return_tensors="pt"
    )
    with torch.no_grad():
        wanted = model(encoded["input_ids"], encoded["attention_mask"], encoded["token_type_ids"]).logits
    assert difference(classifier.predict(TEXTS, verbose=0), wanted) <= TOLERANCE


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("form", ["preset", "archive"])
def test_kerashub_predicts_with_our_masked_language_model_what_we_predict(keras_hub, tmp_path, config, form):
    import keras

    config = config.updated({"prediction_head": "keras_hub"})
    model = randomized(BertForPreTraining(config))  # which has a pooler, as KerasHub's backbone
    path = written(tmp_path, model, "BertMaskedLM", form)
    load = keras.saving.load_model if form == "archive" else keras_hub.models.BertMaskedLM.from_preset
    masked_lm, arrays = load(path), random_inputs(0)
    positions = np.zeros((5, 2), dtype=int)  # the first token is real in every row
    found = masked_lm({**arrays, "mask_positions": positions}).detach()
    assert difference(found[:, 0], ours(model, arrays).prediction_logits[:, 0]) <= TOLERANCE


def randomized_weights(model, seed: int):
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(generator.standard_normal(weight.shape) * 0.3)
    return model


def their_backbone(keras_hub, config: BertConfig):
    return keras_hub.models.BertBackbone(
        vocabulary_size=config.vocab_size,
        num_layers=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        hidden_dim=config.hidden_size,
        intermediate_dim=config.intermediate_size,
        max_sequence_length=config.max_position_embeddings,
        num_segments=config.type_vocab_size,
    )


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("form", ["preset", "shards", "archive"])
def test_we_compute_with_a_classifier_of_kerashub_what_it_computes(keras_hub, tmp_path, config, form):
    theirs = keras_hub.models.BertTextClassifier(their_backbone(keras_hub, config), config.num_labels)
    randomized_weights(theirs, 0)
    path = tmp_path / ("model.keras" if form == "archive" else "preset")
    if form == "archive":
        theirs.save(path)
    else:
        theirs.save_to_preset(path, max_shard_size=1e-6 if form == "shards" else 10)
    model, arrays = BertForSequenceClassification.from_pretrained(path), random_inputs(1)
    assert difference(theirs(arrays).detach(), ours(model, arrays).logits) <= TOLERANCE


@pytest.mark.parametrize("config", CONFIGS)
def test_we_compute_with_a_masked_language_model_of_kerashub_what_it_computes(keras_hub, tmp_path, config):
    theirs = randomized_weights(keras_hub.models.BertMaskedLM(their_backbone(keras_hub, config)), 0)
    theirs.save_to_preset(tmp_path)
    model, arrays = BertForMaskedLM.from_pretrained(tmp_path), random_inputs(2)
    found = theirs({**arrays, "mask_positions": np.zeros((5, 1), dtype=int)}).detach()
    assert difference(found[:, 0], ours(model, arrays).logits[:, 0]) <= TOLERANCE


def test_an_adapted_and_merged_encoder_of_kerashub_is_read(keras_hub, tmp_path):
    theirs = randomized_weights(their_backbone(keras_hub, CONFIGS[1]), 0)
    theirs.enable_lora(2)
    randomized_weights(theirs, 3)
    theirs.save_to_preset(tmp_path)
    model, arrays = BertModel.from_pretrained(tmp_path), random_inputs(3)
    assert difference(theirs(arrays)["pooled_output"].detach(), ours(model, arrays).pooled) <= TOLERANCE


def test_bfloat16_weights_of_kerashub_are_read(keras_hub, tmp_path):
    theirs = keras_hub.models.BertBackbone(
        13, 1, 2, 8, 10, max_sequence_length=20, num_segments=3, dtype="bfloat16"
    )
    theirs.save_to_preset(tmp_path)
    model = BertModel.from_pretrained(tmp_path)
    wanted = theirs.token_embedding.embeddings.value.detach().float()
    assert torch.equal(model.embeddings.word.weight, wanted)
