"""Texts and classifiers of the tests."""

from __future__ import annotations

import numpy as np

from bertx.keras_style import losses, metrics, models, optimizers

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "quick", "brown", "fox", ".", "a", "b"]
TEXTS = ["The quick brown fox.", "A fox", "b b b a quick brown the fox . the", "unheard of"]
SECONDS = ["quick", "the brown . a b a b", "fox . fox", "a"]
LABELS = [0, 2, 1, 1]
WEIGHTS = [1.0, 0.5, 2.0, 0.0]


def preprocessor(
    sequence_length: int = 10, truncate: str = "round_robin"
) -> models.BertTextClassifierPreprocessor:
    tokenizer = models.BertTokenizer(PIECES, lowercase=True)
    return models.BertTextClassifierPreprocessor(tokenizer, sequence_length, truncate)


def backbone(**changes: int) -> models.BertBackbone:
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 12, "dropout": 0.0}
    return models.BertBackbone(len(PIECES), max_sequence_length=16, **(sizes | changes))


def classifier(num_classes: int = 3, **options: object) -> models.BertTextClassifier:
    return models.BertTextClassifier(backbone(), num_classes, **({"preprocessor": preprocessor()} | options))


def compiled(made: models.BertTextClassifier, learning_rate: float = 1e-3) -> models.BertTextClassifier:
    made.compile(
        optimizer=optimizers.Adam(learning_rate),
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[metrics.SparseCategoricalAccuracy()],
    )
    return made


def arrays() -> dict[str, np.ndarray]:
    """The inputs of the seed's example of integers."""
    return {
        "token_ids": np.ones(shape=(2, 12), dtype="int32"),
        "segment_ids": np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]] * 2),
        "padding_mask": np.array([[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]] * 2),
    }
