from __future__ import annotations

import numpy as np
import pytest
import torch

from bertx.bert.task_heads import BertForSequenceClassification
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import CheckpointError, ConfigError, DataError
from bertx.keras_style import losses, metrics, optimizers
from bertx.keras_style.models import BertTextClassifier, TextClassifier
from tests.keras_style.small import (
    LABELS,
    PIECES,
    SECONDS,
    TEXTS,
    WEIGHTS,
    arrays,
    backbone,
    classifier,
    compiled,
)


def test_logits_of_texts_are_those_of_kerashub(preset, expected):
    found = BertTextClassifier.from_preset(preset).predict(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected["logits"], atol=1e-6, rtol=0)


def test_logits_of_pairs_are_those_of_kerashub(preset, expected):
    found = BertTextClassifier.from_preset(preset).predict((TEXTS, SECONDS), batch_size=3)
    np.testing.assert_allclose(found, expected["pair_logits"], atol=1e-6, rtol=0)


def test_an_activation_makes_probabilities_of_logits(preset, expected):
    found = BertTextClassifier.from_preset(preset, activation="softmax").predict(np.array(TEXTS))
    np.testing.assert_allclose(found, expected["probabilities"], atol=1e-6, rtol=0)


def test_a_function_can_be_the_activation(preset, expected):
    found = BertTextClassifier.from_preset(preset, activation=torch.neg).predict(TEXTS)
    np.testing.assert_allclose(-found, expected["logits"], atol=1e-6, rtol=0)


def test_token_ids_and_texts_give_the_same_predictions(preset):
    model = BertTextClassifier.from_preset(preset)
    texts = model.predict(TEXTS)
    packed = model.preprocessor(TEXTS)
    model.preprocessor = None
    assert np.array_equal(model.predict(packed), texts)


def test_batches_of_any_size_give_the_same_predictions(preset):
    model = BertTextClassifier.from_preset(preset)
    np.testing.assert_allclose(model.predict(TEXTS, batch_size=1), model.predict(TEXTS), atol=1e-6, rtol=0)


def test_what_is_masked_between_tokens_is_not_seen(preset):
    model, features = BertTextClassifier.from_preset(preset, preprocessor=None), arrays()
    seen = model.predict(features)
    features["padding_mask"][:, 3] = 0
    masked = model.predict(features)
    features["token_ids"][:, 3] = 7
    assert np.array_equal(model.predict(features), masked)
    assert np.abs(masked - seen).max() > 1e-4


def test_an_evaluation_is_that_of_kerashub(preset, expected):
    model = compiled(BertTextClassifier.from_preset(preset))
    assert model.evaluate(TEXTS, LABELS) == pytest.approx(expected["evaluation"], abs=1e-6)


def test_an_evaluation_can_name_its_values(preset, expected):
    model = BertTextClassifier.from_preset(preset)
    loss, accuracy = expected["evaluation"]
    found = model.evaluate(TEXTS, LABELS, batch_size=3, return_dict=True)
    assert found == pytest.approx({"loss": loss, "sparse_categorical_accuracy": accuracy}, abs=1e-6)


@pytest.mark.parametrize("steps", [1, 3])
def test_training_gives_the_losses_of_kerashub(preset, expected, steps):
    model = compiled(BertTextClassifier.from_preset(preset))
    # In one call or in three: the optimizer goes on where it stopped.
    histories = [
        model.fit(TEXTS, LABELS, batch_size=4, epochs=3 // steps, validation_data=(TEXTS[:2], LABELS[:2]))
        for _ in range(steps)
    ]
    wanted = expected["history"]
    assert histories[0].history.keys() == wanted.keys()
    for name, values in wanted.items():
        found = [value for history in histories for value in history.history[name]]
        assert found == pytest.approx(values, abs=2e-6)


def test_sample_weights_count_as_in_kerashub(preset, expected):
    model = compiled(BertTextClassifier.from_preset(preset))
    found = model.fit(TEXTS, LABELS, batch_size=4, epochs=3, sample_weight=WEIGHTS).history
    for name, values in expected["weighted_history"].items():
        assert found[name] == pytest.approx(values, abs=2e-6)


def test_texts_are_learned():
    model = compiled(classifier(num_classes=2, dropout=0.0), learning_rate=0.01)
    texts, labels = ["fox", "quick fox", "brown", "quick brown"], [0, 0, 1, 1]
    model.fit(texts, labels, batch_size=2, epochs=30)
    assert model.evaluate(texts, labels)[1] == 1.0


def test_a_seed_makes_training_repeatable():
    def losses_of_a_run() -> list[float]:
        torch.manual_seed(3)
        return classifier().fit(TEXTS, LABELS, batch_size=2, epochs=2).history["loss"]

    assert losses_of_a_run() == losses_of_a_run()


def test_a_frozen_backbone_keeps_its_weights():
    model = compiled(classifier())
    before = {name: value.clone() for name, value in model.backbone.model.state_dict().items()}
    head = model.model.classifier.weight.detach().clone()
    model.backbone.trainable = False
    model.fit(TEXTS, LABELS)
    after = model.backbone.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not torch.equal(model.model.classifier.weight, head)


def test_a_backbone_that_is_frozen_before_stays_so():
    encoder = backbone()
    encoder.trainable = False
    model = BertTextClassifier(encoder, 2)
    trained = [name for name, value in model.model.named_parameters() if value.requires_grad]
    assert trained == ["classifier.weight", "classifier.bias"]


def test_a_model_that_is_not_compiled_does_not_train():
    model = classifier(compile=False)
    assert model.predict(TEXTS).shape == (4, 3)
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"no loss and no optimizer yet; call compile\(\) first"):
            method(TEXTS, LABELS)


def test_probabilities_are_compiled_as_probabilities():
    assert classifier(activation="softmax").model.compiled_loss.from_logits is False
    assert classifier().model.compiled_loss.from_logits is True
    assert classifier().optimizer.learning_rate == 5e-5


def test_further_metrics_are_reported_by_their_names():
    model = classifier()
    model.compile(metrics=[metrics.SparseTopKCategoricalAccuracy(k=3, name="top3")])
    found = model.fit(TEXTS, LABELS, validation_data=(TEXTS, LABELS)).history
    assert set(found) == {"loss", "top3", "val_loss", "val_top3"}
    assert found["top3"] == [1.0]


def test_the_head_of_a_preset_is_kept_unless_classes_are_given(preset, expected):
    kept, fresh = BertTextClassifier.from_preset(preset), TextClassifier.from_preset(preset, num_classes=3)
    assert kept.num_classes == fresh.num_classes == 3
    assert np.abs(fresh.predict(TEXTS) - expected["logits"]).max() > 0.1


def test_a_preset_can_be_had_without_its_weights(preset, expected):
    model = BertTextClassifier.from_preset(preset, load_weights=False)
    assert model.backbone.config.num_hidden_layers == 2
    assert np.abs(model.predict(TEXTS) - expected["logits"]).max() > 0.1


def test_a_backbone_alone_has_no_head(preset, tmp_path):
    BertTextClassifier.from_preset(preset).backbone.save_to_preset(tmp_path / "alone")
    for load_weights in (True, False):
        with pytest.raises(CheckpointError, match="has an encoder, but no classification head; give num_cl"):
            BertTextClassifier.from_preset(tmp_path / "alone", load_weights, preprocessor=None)


def test_what_is_saved_is_what_is_loaded(preset, tmp_path):
    model = BertTextClassifier.from_preset(preset, num_classes=2, activation="softmax", dropout=0.3)
    model.preprocessor.sequence_length, model.preprocessor.truncate = 7, "waterfall"
    model.save_to_preset(tmp_path / "saved", max_shard_size=2e-6)
    again = BertTextClassifier.from_preset(tmp_path / "saved")
    assert (again.num_classes, again.activation, again.dropout) == (2, "softmax", 0.3)
    assert (again.preprocessor.sequence_length, again.preprocessor.truncate) == (7, "waterfall")
    assert np.array_equal(again.predict((TEXTS, SECONDS)), model.predict((TEXTS, SECONDS)))


def test_a_model_saved_without_preprocessor_has_none(tmp_path):
    model = classifier(preprocessor=None)
    model.save_to_preset(tmp_path / "saved")
    again = BertTextClassifier.from_preset(tmp_path / "saved")
    assert again.preprocessor is None
    assert np.array_equal(again.predict(arrays()), model.predict(arrays()))


def test_a_keras_file_is_a_preset(golden):
    found, wanted = (
        BertTextClassifier.from_preset(golden / name) for name in ("classifier.keras", "classifier")
    )
    assert (found.activation, found.preprocessor.truncate) == ("softmax", "waterfall")
    assert np.array_equal(found.predict(TEXTS), wanted.predict(TEXTS))


def test_a_directory_of_hugging_face_is_a_preset(tmp_path):
    pieces = {piece: number for number, piece in enumerate(PIECES)}
    model = BertForSequenceClassification(backbone().config.updated({"num_labels": 5})).eval()
    model.save_pretrained(tmp_path / "hf", BertTokenizer(pieces))
    found = BertTextClassifier.from_preset(tmp_path / "hf")
    with torch.no_grad():
        wanted = model(torch.tensor([[2, 5, 8, 3]])).logits
    np.testing.assert_allclose(found.predict(["The fox"]), wanted, atol=1e-6, rtol=0)


def test_no_row_of_the_embedding_is_kept_from_learning(preset):
    model, features = BertTextClassifier.from_preset(preset, preprocessor=None), arrays()
    features["token_ids"][:, 1] = 0
    before = model.backbone.model.embeddings.word.weight[0].detach().clone()
    model.fit(features, [0, 1])
    assert not torch.equal(model.backbone.model.embeddings.word.weight[0], before)


def test_a_function_as_activation_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="the activation is a function; expected a name"):
        classifier(activation=torch.neg).save_to_preset(tmp_path / "saved")


def test_another_backbone_can_be_set():
    model, other = classifier(), backbone(num_layers=1)
    model.backbone = other
    assert model.model.bert is other.model
    with pytest.raises(ValueError, match="hidden_dim is 4; expected 8, as the head has"):
        model.backbone = backbone(hidden_dim=4)


def test_presets_are_listed():
    assert list(BertTextClassifier.presets)[:2] == ["bert_tiny_en_uncased", "bert_small_en_uncased"]
    assert len(BertTextClassifier.presets) == 10


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ("a fox", [0], "put a single input into a list"),
        (TEXTS, LABELS[:3], r"y has the shape \(3,\); expected \(4,\), one for each row of x"),
        (arrays(), [0, 1], "x is a dict; expected texts, since the model has a preprocessor"),
        ([TEXTS, SECONDS], [0, 1], "x holds lists; expected texts. Pairs are a tuple of two lists"),
        ((TEXTS, SECONDS[:3]), LABELS, "the segments have 4, 3 rows"),
        ([], [], "with one row or more"),
    ],
)
def test_what_does_not_match_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(x, y)


def test_token_ids_must_be_complete():
    model, features = classifier(preprocessor=None), arrays()
    with pytest.raises(ValueError, match="x is a list; expected a dict of token_ids, segment_ids and paddin"):
        model.predict(TEXTS)
    del features["segment_ids"]
    with pytest.raises(ValueError, match="x has no 'segment_ids'; expected a dict of token_ids, segment_ids"):
        model.predict(features)


def test_numbers_out_of_range_are_refused():
    model, features = classifier(preprocessor=None), arrays()
    with pytest.raises(DataError, match="y: holds 3; expected whole numbers from 0 to 2"):
        model.fit(features, [0, 3])
    features["token_ids"][1, 2] = 12
    with pytest.raises(DataError, match="token_ids: holds 12; expected whole numbers from 0 to 11"):
        model.predict(features)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="activation: 'sofmax'; expected a function, or linear, softmax"):
        classifier(activation="sofmax")
    with pytest.raises(ConfigError, match=r"model.dropout: 1.5; expected at least 0 and less than 1"):
        classifier(dropout=1.5)


def test_cross_entropy_of_probabilities_is_that_of_keras():
    loss = losses.SparseCategoricalCrossentropy()
    found = loss(torch.tensor([1, 0]), torch.tensor([[0.0, 2.0], [0.0, 1.0]]))
    # -log(1 - 1e-7) and -log(1e-7), averaged.
    assert float(found) == pytest.approx((1.19e-7 + 16.118096) / 2, abs=1e-5)


def test_weight_decay_takes_a_share_of_the_weights_off():
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = optimizers.AdamW(0.1, weight_decay=0.5).on([("weight", weight)])
    weight.grad = torch.zeros(1)
    optimizer.step()
    assert weight.item() == pytest.approx(2.0 - 2.0 * 0.1 * 0.5)


def test_epsilon_is_not_corrected_for_the_first_steps():
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    optimizer = optimizers.Adam(1.0, epsilon=0.1).on([("weight", weight)])
    weight.grad = torch.ones(1)
    optimizer.step()
    # Keras: lr * sqrt(1 - 0.999) / (1 - 0.9) * 0.1 / (sqrt(0.001) + 0.1)
    assert weight.item() == pytest.approx(-0.240253, abs=1e-5)
