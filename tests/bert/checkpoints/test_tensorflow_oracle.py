"""TensorFlow itself: what it writes in many ways is read as it reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from bertx.bert.checkpoints.tensorflow import read_tensorflow_tensors
from bertx.bert.checkpoints.tensorflow_bundle import Bundle
from bertx.bert.checkpoints.tensorflow_crc32c import masked_crc32c
from bertx.bert.heads import BertForPreTraining
from bertx.bert.task_heads import BertForSequenceClassification
from bertx.errors import CheckpointError
from tests.bert.reference import random_batch, randomized, reference_config

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


def saved(tf, folder: Path, values: dict[str, np.ndarray], **options: object) -> Path:
    """Lets TensorFlow 1's saver write variables."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in values.items():
            tf.compat.v1.get_variable(name, initializer=value)
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(**options)
        saver.save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False)
    return folder / "bert_model.ckpt.index"


def google_values(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Names the tensors of a model of transformers as Google's code does."""
    values = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("cls.predictions.decoder") or name.endswith("_ids"):
            continue
        array = tensor.numpy()
        name = name.replace("layer.", "layer_").replace(".", "/")
        name = name.replace("LayerNorm/weight", "LayerNorm/gamma").replace("LayerNorm/bias", "LayerNorm/beta")
        name = name.replace("_embeddings/weight", "_embeddings").replace(
            "cls/predictions/bias", "cls/predictions/output_bias"
        )
        for head, own in (
            ("cls/seq_relationship/", "cls/seq_relationship/output_"),
            ("classifier/", "output_"),
        ):
            if name.startswith(head):
                name = own + name.removeprefix(head).replace("weight", "weights")
        if name.endswith("/weight"):
            name, array = name.replace("/weight", "/kernel"), np.ascontiguousarray(array.T)
        values[name] = array
    return values


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sharded", [False, True])
def test_a_pretrained_model_written_by_tensorflow_computes_the_same(tf, tmp_path, seed, sharded):
    reference = randomized(transformers.BertForPreTraining(reference_config()), seed)
    saved(tf, tmp_path, google_values(reference), sharded=sharded)
    reference.config.to_json_file(tmp_path / "bert_config.json")
    model = BertForPreTraining.from_pretrained(tmp_path)
    assert model.load_report.summary() == "loaded 46/46 tensors"
    wanted, found = reference(**random_batch()), model(**random_batch())
    real = random_batch()["attention_mask"]
    torch.testing.assert_close(
        found.prediction_logits[real], wanted.prediction_logits[real], atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        found.seq_relationship_logits, wanted.seq_relationship_logits, atol=1e-5, rtol=0
    )


def test_a_classifier_written_by_tensorflow_computes_the_same(tf, tmp_path):
    reference = randomized(transformers.BertForSequenceClassification(reference_config(num_labels=4)))
    values = google_values(reference) | {"bert/pooler/dense/kernel/adam_m": np.zeros((2, 2), np.float32)}
    saved(tf, tmp_path, values)
    reference.config.to_json_file(tmp_path / "bert_config.json")
    model = BertForSequenceClassification.from_pretrained(tmp_path, num_labels=4)
    torch.testing.assert_close(
        model(**random_batch()).logits, reference(**random_batch()).logits, atol=1e-5, rtol=0
    )


def test_many_variables_of_all_sizes_and_precisions_are_read(tf, tmp_path):
    generator = np.random.default_rng(0)
    dtypes = [np.float32, np.float16, np.float64]
    values = {
        f"scope_{number % 7}/variable_{number:04}": generator.standard_normal(
            tuple(generator.integers(1, 30, number % 4))
        ).astype(dtypes[number % 3])
        for number in range(700)  # the index has several blocks
    }
    values["large"] = generator.standard_normal((3000, 400)).astype(np.float32)
    values["nothing"] = np.zeros((0, 5), dtype=np.float32)
    index = saved(tf, tmp_path, values)
    bundle = Bundle(index)
    reader = tf.train.load_checkpoint(str(index.with_suffix("")))
    assert bundle.entries.keys() == reader.get_variable_to_shape_map().keys() == values.keys()
    for name, value in values.items():
        found = bundle.tensor(name).numpy()
        assert found.dtype == value.dtype and np.array_equal(found, reader.get_tensor(name))


def test_bfloat16_is_read(tf, tmp_path):
    value = tf.cast(tf.constant([1.5, -2.0, 3.1]), tf.bfloat16).numpy()
    index = saved(tf, tmp_path, {"x": value})
    assert Bundle(index).tensor("x").float().tolist() == value.astype(np.float32).tolist()


def test_a_checkpoint_of_objects_is_refused(tf, tmp_path):
    checkpoint = tf.train.Checkpoint(model=tf.Module(), weight=tf.Variable([1.0]))
    path = checkpoint.write(str(tmp_path / "bert_model.ckpt"))
    with pytest.raises(CheckpointError, match="saved by objects, as in TensorFlow 2"):
        read_tensorflow_tensors(Path(f"{path}.index"))


def test_a_variable_in_slices_is_refused(tf, tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        partitioner = tf.compat.v1.fixed_size_partitioner(2)
        tf.compat.v1.get_variable("a/kernel", (4, 3), partitioner=partitioner)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "x"), write_meta_graph=False)
    with pytest.raises(CheckpointError, match="a/kernel is saved in slices; expected whole weights"):
        read_tensorflow_tensors(tmp_path / "x.index")


def test_checksums_are_those_of_tensorflow(tf, tmp_path):
    records = [bytes(size) for size in (0, 1, 100)] + [b"bertx" * 2000]
    with tf.io.TFRecordWriter(str(tmp_path / "records")) as writer:
        for record in records:
            writer.write(record)
    octets, place = (tmp_path / "records").read_bytes(), 0
    for record in records:  # length, its checksum, the record, its checksum
        place += 12 + len(record)
        assert int.from_bytes(octets[place : place + 4], "little") == masked_crc32c(record)
        place += 4
