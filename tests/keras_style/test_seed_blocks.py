"""The code of KerasHub's documentation of `BertTextClassifier`, with nothing changed but the imports.

The named presets are folders in the working directory, which go before names. Of the block with two models
that of Gemma is left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bertx.keras_style as keras
import bertx.keras_style as keras_hub

RAW_STRINGS = """
features = ["The quick brown fox jumped.", "I forgot my homework."]
labels = [0, 3]
# Pretrained classifier.
classifier = keras_hub.models.BertTextClassifier.from_preset(
    "bert_base_en_uncased",
    num_classes=4,
)
classifier.fit(x=features, y=labels, batch_size=2)
classifier.predict(x=features, batch_size=2)
# Re-compile (e.g., with a new learning rate).
classifier.compile(
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    optimizer=keras.optimizers.Adam(5e-5),
    jit_compile=True,
)
# Access backbone programmatically (e.g., to change `trainable`).
classifier.backbone.trainable = False
# Fit again.
classifier.fit(x=features, y=labels, batch_size=2)
"""

INTEGERS = """
features = {
    "token_ids": np.ones(shape=(2, 12), dtype="int32"),
    "segment_ids": np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]] * 2),
    "padding_mask": np.array([[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]] * 2),
}
labels = [0, 3]
# Pretrained classifier without preprocessing.
classifier = keras_hub.models.BertTextClassifier.from_preset(
    "bert_base_en_uncased",
    num_classes=4,
    preprocessor=None,
)
classifier.fit(x=features, y=labels, batch_size=2)
"""

CUSTOM = """
features = ["The quick brown fox jumped.", "I forgot my homework."]
labels = [0, 3]
vocab = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
vocab += ["The", "quick", "brown", "fox", "jumped", "."]
tokenizer = keras_hub.models.BertTokenizer(
    vocabulary=vocab,
)
preprocessor = keras_hub.models.BertTextClassifierPreprocessor(
    tokenizer=tokenizer,
    sequence_length=128,
)
backbone = keras_hub.models.BertBackbone(
    vocabulary_size=30552,
    num_layers=4,
    num_heads=4,
    hidden_dim=256,
    intermediate_dim=512,
    max_sequence_length=128,
)
classifier = keras_hub.models.BertTextClassifier(
    backbone=backbone,
    preprocessor=preprocessor,
    num_classes=4,
)
classifier.fit(x=features, y=labels, batch_size=2)
"""

BASE_CLASS = """
# Load a Bert classification task.
model = keras_hub.models.TextClassifier.from_preset(
    "bert_base_en",
    num_classes=2,
)
"""


@pytest.fixture
def run(preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None):
    """Runs code beside folders that are called like presets; returns its variables."""
    for name in ("bert_base_en_uncased", "bert_base_en"):
        (tmp_path / name).symlink_to(preset, target_is_directory=True)
    monkeypatch.chdir(tmp_path)

    def execute(code: str) -> dict:
        variables: dict = {"keras_hub": keras_hub, "keras": keras, "np": np}
        exec(code, variables)
        return variables

    return execute


def test_raw_strings(run):
    classifier = run(RAW_STRINGS)["classifier"]
    assert classifier.predict(["The fox"]).shape == (1, 4)
    assert not classifier.backbone.trainable


def test_integers(run):
    variables = run(INTEGERS)
    assert variables["classifier"].predict(variables["features"]).shape == (2, 4)


def test_a_custom_backbone_and_vocabulary(run):
    variables = run(CUSTOM)
    assert variables["preprocessor"]("The fox")["token_ids"][:6].tolist() == [1, 5, 8, 2, 3, 3]
    # `[UNK]` has id 0, which Hugging Face's BERT keeps for padding: here it is learned as any other.
    assert variables["backbone"].model.embeddings.word.weight[0].abs().sum() > 0
    assert variables["classifier"].predict(variables["features"]).shape == (2, 4)


def test_a_base_class(run):
    assert run(BASE_CLASS)["model"].predict(["The fox"]).shape == (1, 2)
