"""KerasHub itself as the judge: run in an environment with the oracles extra, with `-m oracle`."""

from __future__ import annotations

import random
from types import ModuleType

import numpy as np
import pytest
import torch

from bertx.keras_style import models
from tests.bert.reference import randomized
from tests.keras_style.small import PIECES, SECONDS, TEXTS

pytestmark = pytest.mark.oracle

ALPHABET = [
    *"aAbBeéÉßİſ.,'-_[]#\u00ad\u200d\u0301\u3000 \n\t",
    "中",
    "文",
    "😀",
    "the",
    " fox",
    "##",
    "[CLS]",
]


@pytest.fixture(scope="module")
def keras_hub() -> ModuleType:
    import keras_hub

    return keras_hub


def texts(count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    return ["".join(generator.choices(ALPHABET, k=generator.randrange(1, 25))) for _ in range(count)]


def random_classifier(seed: int) -> models.BertTextClassifier:
    generator = random.Random(seed)
    heads, head_size = generator.randint(1, 4), generator.randint(1, 6)
    encoder = models.BertBackbone(
        len(PIECES),
        num_layers=generator.randint(1, 3),
        num_heads=heads,
        hidden_dim=heads * head_size,
        intermediate_dim=generator.randint(1, 20),
        max_sequence_length=generator.randint(12, 20),
    )
    tokenizer = models.BertTokenizer(PIECES, lowercase=generator.random() < 0.5)
    truncate = generator.choice(["round_robin", "waterfall"])
    preprocessor = models.BertTextClassifierPreprocessor(tokenizer, generator.randint(5, 12), truncate)
    made = models.BertTextClassifier(encoder, generator.randint(1, 5), preprocessor)
    randomized(made.model)
    return made


@pytest.mark.parametrize("seed", range(6))
def test_kerashub_predicts_the_same_with_what_is_saved(keras_hub, tmp_path, seed):
    ours = random_classifier(seed)
    ours.save_to_preset(tmp_path / "saved", max_shard_size=3e-6 if seed % 2 else 10)
    theirs = keras_hub.models.BertTextClassifier.from_preset(str(tmp_path / "saved"))
    for x in (TEXTS, (TEXTS, SECONDS)):
        np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", range(3))
def test_what_kerashub_saves_predicts_the_same(keras_hub, tmp_path, seed):
    random_classifier(seed).save_to_preset(tmp_path / "first")
    theirs = keras_hub.models.BertTextClassifier.from_preset(
        str(tmp_path / "first"), num_classes=3, activation="softmax"
    )
    theirs.save_to_preset(str(tmp_path / "second"))
    ours = models.BertTextClassifier.from_preset(tmp_path / "second")
    np.testing.assert_allclose(ours.predict(TEXTS), theirs.predict(TEXTS, verbose=0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("strip_accents", [False, True])
@pytest.mark.parametrize("special_tokens_in_strings", [False, True])
@pytest.mark.parametrize("truncate", ["round_robin", "waterfall"])
def test_texts_are_packed_as_kerashub_packs_them(
    keras_hub, lowercase, strip_accents, special_tokens_in_strings, truncate
):
    pieces = [*PIECES, *"eéßsi中", "##e", "##s", "##b", "[", "]", "#"]
    options = {
        "lowercase": lowercase,
        "strip_accents": strip_accents,
        "special_tokens_in_strings": special_tokens_in_strings,
    }
    x = (texts(300, 0), texts(300, 1))
    ours, theirs = (
        library.BertTextClassifierPreprocessor(library.BertTokenizer(pieces, **options), 12, truncate)(x=x)
        for library in (models, keras_hub.models)
    )
    for name, values in ours.items():
        found = np.asarray(theirs[name])
        differing = np.flatnonzero((values != found).any(axis=1))
        assert [(x[0][row], x[1][row]) for row in differing] == [], name


@pytest.mark.parametrize("targets", [None, ["key"], ["query", "key", "value"]])
def test_kerashub_reads_updates_and_predicts_the_same(keras_hub, tmp_path, targets):
    ours = random_classifier(7)
    ours.save_to_preset(tmp_path / "saved")
    theirs = keras_hub.models.BertTextClassifier.from_preset(str(tmp_path / "saved"))
    ours.backbone.enable_lora(2, targets)
    with torch.no_grad():
        for name, parameter in ours.model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    ours.backbone.save_lora_weights(tmp_path / "updates.lora.h5")
    theirs.backbone.enable_lora(2, targets)
    theirs.backbone.load_lora_weights(str(tmp_path / "updates.lora.h5"))
    np.testing.assert_allclose(ours.predict(TEXTS), theirs.predict(TEXTS, verbose=0), atol=1e-6, rtol=0)
    trained = sum(value.numel() for value in ours.model.parameters() if value.requires_grad)
    assert trained == sum(int(np.prod(value.shape)) for value in theirs.trainable_variables)
    ours.save_to_preset(tmp_path / "merged")
    merged = keras_hub.models.BertTextClassifier.from_preset(str(tmp_path / "merged"))
    np.testing.assert_allclose(ours.predict(TEXTS), merged.predict(TEXTS, verbose=0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", range(2))
def test_int8_predicts_what_kerashub_predicts(keras_hub, tmp_path, seed):
    ours = random_classifier(seed)
    ours.save_to_preset(tmp_path / "saved")
    theirs = keras_hub.models.BertTextClassifier.from_preset(str(tmp_path / "saved"))
    for model in (ours, theirs):
        model.quantize("int8")
    np.testing.assert_allclose(ours.predict(TEXTS), theirs.predict(TEXTS, verbose=0), atol=2e-3, rtol=0)
