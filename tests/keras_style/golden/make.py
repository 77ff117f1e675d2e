"""Makes `golden.tar.gz`: a small preset that KerasHub wrote, and what KerasHub computes with it.

Made with keras-hub 0.32.0 and keras 3.15.1 (on torch 2.13.0). Needs the oracles extra:

    KERAS_BACKEND=torch python -m tests.keras_style.golden.make
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import keras
import keras_hub
import numpy as np

from bertx.tar_gz import pack

ARCHIVE = Path(__file__).parent / "golden.tar.gz"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "quick", "brown", "fox", ".", "a", "b"]
TEXTS = ["The quick brown fox.", "A fox", "b b b a quick brown the fox . the", "unheard of"]
SECONDS = ["quick", "the brown . a b a b", "fox . fox", "a"]
LABELS = [0, 2, 1, 1]
WEIGHTS = [1.0, 0.5, 2.0, 0.0]
EPOCHS = 3


def classifier(folder: Path, **options: object) -> keras_hub.models.BertTextClassifier:
    made = keras_hub.models.BertTextClassifier.from_preset(str(folder / "classifier"), **options)
    made.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    return made


def randomize(variables: list[keras.Variable], seed: int) -> None:
    generator = np.random.default_rng(seed)
    for variable in variables:
        # Around 1 for the scales of normalisation, so that predictions for different texts differ well.
        mean = 1.0 if variable.name == "gamma" else 0.0
        variable.assign(mean + generator.standard_normal(variable.shape) * 0.3)


def write_preset(folder: Path) -> None:
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=PIECES, lowercase=True)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(PIECES),
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=12,
        dropout=0.0,
        max_sequence_length=16,
    )
    packer = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=10)
    made = keras_hub.models.BertTextClassifier(backbone, 3, packer, dropout=0.0)
    randomize(made.weights, 0)
    made.save_to_preset(folder / "classifier")


def numbers(history: keras.callbacks.History) -> dict[str, list[float]]:
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def expected(folder: Path) -> dict[str, object]:
    given = {"y": np.array(LABELS), "batch_size": 4, "verbose": 0}
    plain, weighted, softmax = (
        classifier(folder),
        classifier(folder),
        classifier(folder, activation="softmax"),
    )
    found = {
        "logits": plain.predict(TEXTS, verbose=0).tolist(),
        "pair_logits": plain.predict((TEXTS, SECONDS), verbose=0).tolist(),
        "probabilities": softmax.predict(TEXTS, verbose=0).tolist(),
        "evaluation": [float(value) for value in plain.evaluate(TEXTS, **given)],
    }
    validation = (TEXTS[:2], np.array(LABELS[:2]))
    found["history"] = numbers(plain.fit(TEXTS, **given, epochs=EPOCHS, validation_data=validation))
    weights = np.array(WEIGHTS)
    found["weighted_history"] = numbers(weighted.fit(TEXTS, **given, epochs=EPOCHS, sample_weight=weights))
    quantized = classifier(folder)
    quantized.quantize("int8")
    found["int8_logits"] = quantized.predict(TEXTS, verbose=0).tolist()
    adapted = classifier(folder)
    adapted.backbone.enable_lora(3)
    layers = [layer for layer in adapted.backbone._flatten_layers() if getattr(layer, "lora_enabled", False)]
    randomize([kernel for layer in layers for kernel in (layer.lora_kernel_a, layer.lora_kernel_b)], 1)
    adapted.backbone.save_lora_weights(str(folder / "updates.lora.h5"))
    found["lora_logits"] = adapted.predict(TEXTS, verbose=0).tolist()
    found["lora_trainable"] = sum(int(np.prod(item.shape)) for item in adapted.trainable_variables)
    adapted.compile(optimizer=keras.optimizers.Adam(1e-3))
    found["lora_history"] = numbers(adapted.fit(TEXTS, **given, epochs=EPOCHS))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_preset(folder)
        (folder / "expected.json").write_text(json.dumps(expected(folder)))
        pack(folder, [path.name for path in folder.iterdir()], ARCHIVE)


if __name__ == "__main__":
    main()
