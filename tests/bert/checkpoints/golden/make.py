"""Makes `golden.tar.gz`: small checkpoints that KerasHub and TensorFlow wrote, and what KerasHub computes.

Made with keras-hub 0.32.0, keras 3.15.1 (on torch 2.13.0) and tensorflow 2.21.0. Needs the oracles extra:

    KERAS_BACKEND=torch python -m tests.bert.checkpoints.golden.make
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from bertx.tar_gz import pack

ARCHIVE = Path(__file__).parent / "golden.tar.gz"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "quick", "brown", "fox", "##es", ".", "é"]
TEXTS = ["The quick brown fox.", "foxes", "É the fox . [CLS] " * 3]
INPUTS = {
    "token_ids": [[2, 5, 6, 7, 8, 3, 0, 0], [2, 8, 9, 3, 5, 4, 3, 0], [2, 1, 3, 0, 0, 0, 0, 0]],
    "segment_ids": [[0] * 8, [0, 0, 0, 0, 1, 1, 1, 0], [0] * 8],
    "padding_mask": [[1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0, 0, 0]],
}
MASK_POSITIONS = [[1, 2], [5, 1], [1, 0]]
HIDDEN, WIDE, LAYERS, POSITIONS = 8, 12, 2, 16


def randomize(model: keras.Model, seed: int) -> None:
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(generator.standard_normal(weight.shape) * 0.3)


def write_keras(folder: Path) -> dict[str, object]:
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=PIECES, lowercase=True)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(PIECES),
        num_layers=LAYERS,
        num_heads=2,
        hidden_dim=HIDDEN,
        intermediate_dim=WIDE,
        max_sequence_length=POSITIONS,
    )
    packer = keras_hub.models.BertTextClassifierPreprocessor(
        tokenizer, sequence_length=12, truncate="waterfall"
    )
    classifier = keras_hub.models.BertTextClassifier(backbone, 3, packer, activation="softmax", dropout=0.2)
    randomize(classifier, 0)
    classifier.save_to_preset(folder / "classifier")
    classifier.save_to_preset(folder / "sharded", max_shard_size=2e-6)
    classifier.save(folder / "classifier.keras")
    inputs = {name: np.array(rows) for name, rows in INPUTS.items()}
    packed = packer(TEXTS)
    expected = {
        "texts": TEXTS,
        "token_ids": np.asarray(packed["token_ids"]).tolist(),
        "inputs": INPUTS,
        "probabilities": np.asarray(classifier(inputs).detach()).tolist(),
        "sequence_output": np.asarray(backbone(inputs)["sequence_output"].detach()).tolist(),
        "pooled_output": np.asarray(backbone(inputs)["pooled_output"].detach()).tolist(),
    }
    masked_lm = keras_hub.models.BertMaskedLM(
        backbone, keras_hub.models.BertMaskedLMPreprocessor(tokenizer, sequence_length=12)
    )
    randomize(masked_lm, 1)
    masked_lm.save_to_preset(folder / "masked_lm")
    scores = masked_lm({**inputs, "mask_positions": np.array(MASK_POSITIONS)}).detach()
    return expected | {"mask_positions": MASK_POSITIONS, "masked_lm_logits": np.asarray(scores).tolist()}


def dense(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}/kernel", (inputs, outputs)
    yield f"{name}/bias", (outputs,)


def norm(name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}/LayerNorm/gamma", (HIDDEN,)
    yield f"{name}/LayerNorm/beta", (HIDDEN,)


def variables() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields the names and shapes of Google's release of BERT."""
    yield "bert/embeddings/word_embeddings", (len(PIECES), HIDDEN)
    yield "bert/embeddings/position_embeddings", (POSITIONS, HIDDEN)
    yield "bert/embeddings/token_type_embeddings", (2, HIDDEN)
    yield from norm("bert/embeddings")
    for number in range(LAYERS):
        layer = f"bert/encoder/layer_{number}"
        for part in ("query", "key", "value"):
            yield from dense(f"{layer}/attention/self/{part}", HIDDEN, HIDDEN)
        yield from dense(f"{layer}/attention/output/dense", HIDDEN, HIDDEN)
        yield from norm(f"{layer}/attention/output")
        yield from dense(f"{layer}/intermediate/dense", HIDDEN, WIDE)
        yield from dense(f"{layer}/output/dense", WIDE, HIDDEN)
        yield from norm(f"{layer}/output")
    yield from dense("bert/pooler/dense", HIDDEN, HIDDEN)
    yield from dense("cls/predictions/transform/dense", HIDDEN, HIDDEN)
    yield from norm("cls/predictions/transform")
    yield "cls/predictions/output_bias", (len(PIECES),)
    yield "cls/seq_relationship/output_weights", (2, HIDDEN)
    yield "cls/seq_relationship/output_bias", (2,)


def write_tensorflow(folder: Path) -> None:
    folder.mkdir()
    generator = np.random.default_rng(2)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, shape in variables():
            value = (generator.standard_normal(shape) * 0.3).astype(np.float32)
            tf.compat.v1.get_variable(name, initializer=value)
            if name.endswith("pooler/dense/kernel"):
                tf.compat.v1.get_variable(f"{name}/adam_m", initializer=value)
        tf.compat.v1.train.get_or_create_global_step()
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver()
        saver.save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False, write_state=False)
        values = {item.op.name: session.run(item) for item in tf.compat.v1.global_variables()}
    np.savez_compressed(folder / "values.npz", **values)
    config = {
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": WIDE,
        "max_position_embeddings": POSITIONS,
        "num_attention_heads": 2,
        "num_hidden_layers": LAYERS,
        "type_vocab_size": 2,
        "vocab_size": len(PIECES),
    }
    (folder / "bert_config.json").write_text(json.dumps(config, indent=2))
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "expected.json").write_text(json.dumps(write_keras(folder)))
        write_tensorflow(folder / "uncased_L-2_H-8_A-2")
        pack(folder, [path.name for path in folder.iterdir()], ARCHIVE)


if __name__ == "__main__":
    main()
