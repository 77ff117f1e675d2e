import inspect
import re

import pytest
import torch
import transformers
from torch.nn import functional as F

from bertx.bert.lora import Lora
from bertx.bert.model import BertModel
from bertx.config.construct import plan
from bertx.config.schema import json_schema
from bertx.errors import ConfigError
from bertx.metrics.categorical_accuracy import CategoricalAccuracy
from bertx.metrics.fbeta import FBeta
from bertx.models.bert_for_classification import BertForClassification
from bertx.models.initializers.applicator import InitializerApplicator
from bertx.models.initializers.drawn import constant
from bertx.models.losses.focal import Focal
from bertx.models.model import Model
from bertx.models.regularizers import L2, RegularizerApplicator
from tests.bert.reference import random_batch, randomized, reference_config
from tests.models.tiny import CONFIG, SIZES, classifier, padded, part, vocabulary


@pytest.fixture
def tokens():
    return {"bert": random_batch()}


def test_arguments_and_defaults_are_those_of_allennlp():
    given = list(inspect.signature(BertForClassification).parameters.values())
    assert [parameter.name for parameter in given[:2]] == ["vocab", "bert_model"]
    assert {parameter.name: parameter.default for parameter in given[2:9]} == {
        "dropout": 0.0,
        "num_labels": None,
        "index": "bert",
        "label_namespace": "labels",
        "trainable": True,
        "initializer": None,
        "regularizer": None,
    }


def test_logits_equal_those_of_transformers_with_the_same_weights(tmp_path):
    reference = transformers.BertForSequenceClassification(reference_config(num_labels=3))
    randomized(reference).save_pretrained(tmp_path)
    model = BertForClassification(vocabulary("a", "b", "c"), str(tmp_path)).eval()
    model.classifier.load_state_dict(reference.classifier.state_dict())
    batch, label = random_batch(), torch.tensor([0, 2, 1, 2])
    expected = reference(**batch, labels=label)
    found = model({"bert": batch}, label)
    torch.testing.assert_close(found["logits"], expected.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(found["loss"], expected.loss, atol=1e-5, rtol=0)


def test_forward_gives_logits_probabilities_and_with_labels_a_loss(tokens):
    model = classifier()
    assert list(model(tokens)) == ["logits", "probs"]
    output = model(tokens, torch.tensor([0, 1, 2, 0]))
    assert {name: tuple(value.shape) for name, value in output.items()} == {
        "logits": (4, 3),
        "probs": (4, 3),
        "loss": (),
        "num_targets": (),
    }
    torch.testing.assert_close(output["probs"], output["logits"].softmax(dim=1))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_the_loss_is_the_cross_entropy_of_torch(tokens, dtype):
    label = torch.tensor([2, 0, 1, 1])
    output = classifier()(tokens, label.to(dtype))
    torch.testing.assert_close(output["loss"], F.cross_entropy(output["logits"], label))


def test_an_unseen_label_has_no_share_in_the_loss_and_is_wrong(tokens):
    model = classifier()
    logits = model(tokens)["logits"]
    label = logits.argmax(dim=1)
    label[1] = -100
    known = torch.tensor([0, 2, 3])
    found = model(tokens, label)["loss"]
    torch.testing.assert_close(found, F.cross_entropy(logits[known], label[known]))
    assert model.get_metrics() == {"accuracy": 0.75}


def test_unseen_labels_alone_have_loss_0_and_gradient_0(tokens):
    model = classifier()
    loss = model(tokens, torch.full((4,), -100))["loss"]
    loss.backward()
    assert loss.item() == 0.0
    assert all(not parameter.grad.any() for parameter in model.parameters())
    assert model.get_metrics() == {"accuracy": 0.0}


def test_without_labels_nothing_is_counted(tokens):
    model = classifier()
    model(tokens, torch.tensor([0, 1, 2, 0]))
    before = model.get_metrics()
    model(tokens)
    assert model.get_metrics() == before


def test_more_padding_does_not_change_logits():
    batch, model = random_batch(), classifier()
    expected = model({"bert": batch})["logits"]
    found = model({"bert": padded(batch, 5)})["logits"]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_batch_size_1_equals_batch_size_4():
    batch, model = random_batch(), classifier()
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    alone = [
        model({"bert": part(batch, slice(row, row + 1), length)})["logits"]
        for row, length in enumerate(lengths)
    ]
    torch.testing.assert_close(torch.cat(alone), model({"bert": batch})["logits"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("num_labels", [None, 0])
def test_without_a_number_of_classes_the_vocabulary_decides(num_labels):
    model = BertForClassification(vocabulary("a", "b"), CONFIG, num_labels=num_labels)
    assert model.classifier.out_features == 2


def test_decode_adds_the_string_of_the_most_probable_class():
    model = classifier("bad", "good", "odd")
    output = {"logits": torch.zeros(2, 3), "probs": torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])}
    decoded = model.decode(output)
    assert decoded["label"] == ["good", "bad"]
    assert decoded["probs"] is output["probs"]


def test_a_class_without_a_label_is_called_by_its_number():
    model = BertForClassification(vocabulary("a", "b"), CONFIG, num_labels=4)
    assert model.decode({"probs": torch.eye(4)})["label"] == ["a", "b", "2", "3"]


def test_with_a_number_of_classes_no_labels_are_needed():
    assert BertForClassification(vocabulary(), CONFIG, num_labels=2).labels == ["0", "1"]


@pytest.mark.parametrize(
    ("num_labels", "message"),
    [
        (
            1,
            "model.num_labels: 1 classes, but the data have 2 labels (a, b); leave num_labels out to have "
            "one class for each",
        ),
        (-2, "model.num_labels: -2; expected at least 1, or null for one per label"),
    ],
)
def test_an_impossible_number_of_classes_is_refused(num_labels, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        BertForClassification(vocabulary("a", "b"), CONFIG, num_labels=num_labels)


def test_labels_are_those_of_the_namespace():
    vocab = vocabulary("a", "b", "c")
    for topic in ("sport", "war"):
        vocab.add_token_to_namespace(topic, "topic_labels")
    assert BertForClassification(vocab, CONFIG, label_namespace="topic_labels").labels == ["sport", "war"]


def test_a_namespace_without_labels_is_refused():
    with pytest.raises(ConfigError, match=r"^vocabulary: there are no labels in namespace 'topics'; "):
        BertForClassification(vocabulary("a"), CONFIG, label_namespace="topics")


def test_the_index_chooses_the_token_indexer(tokens):
    model = BertForClassification(vocabulary("a", "b"), CONFIG, index="other").eval()
    assert model.encoder_configs == {"other": CONFIG}
    assert model({"other": tokens["bert"], "bert": {}})["logits"].shape == (4, 2)


def test_frozen_bert_leaves_the_last_layer_trainable():
    model = BertForClassification(vocabulary("a", "b"), CONFIG, trainable=False)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained == ["classifier.weight", "classifier.bias"]


def test_frozen_bert_keeps_its_own_dropout_in_training(tokens):
    model = BertForClassification(vocabulary("a", "b"), CONFIG, trainable=False).train()
    assert not torch.equal(model(tokens)["logits"], model(tokens)["logits"])


def test_dropout_is_on_the_pooled_output_and_in_training_only(tokens):
    calm = BertModel(type(CONFIG).from_dict(CONFIG.to_dict() | {"hidden_dropout_prob": 0.0}))
    model = BertForClassification(vocabulary("a", "b"), calm, dropout=0.999)
    calm.eval()
    model.dropout.train()
    pooled = calm(**tokens["bert"]).pooled
    seen = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(tokens)
    assert (seen[0] == 0).sum() > 0.9 * pooled.numel()
    model.eval()(tokens)
    torch.testing.assert_close(seen[1], pooled)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 1.5])
def test_dropout_must_be_a_probability(dropout):
    message = rf"^model\.dropout: {dropout}; expected at least 0 and less than 1$"
    with pytest.raises(ConfigError, match=message):
        BertForClassification(vocabulary("a"), CONFIG, dropout=dropout)


def test_the_initializer_sees_the_last_layer_only():
    everything = InitializerApplicator([("^weight$", constant(2.0)), ("^bias$", constant(3.0))])
    model = BertForClassification(vocabulary("a", "b"), CONFIG, initializer=everything)
    assert model.classifier.weight.unique().tolist() == [2.0]
    assert model.classifier.bias.unique().tolist() == [3.0]
    assert model.bert.pooler.dense.weight.unique().numel() == 24 * 24


def test_the_regularizer_is_not_in_the_loss_of_forward(tokens):
    regularizer = RegularizerApplicator([("classifier", L2(0.5))])
    model = BertForClassification(vocabulary("a", "b"), CONFIG, regularizer=regularizer).eval()
    label = torch.tensor([0, 1, 0, 1])
    output = model(tokens, label)
    torch.testing.assert_close(output["loss"], F.cross_entropy(output["logits"], label))
    squares = sum(p.square().sum() for p in model.classifier.parameters())
    torch.testing.assert_close(model.regularization_penalty(), 0.5 * squares)


def test_without_a_regularizer_there_is_no_penalty():
    assert classifier().regularization_penalty() is None


def test_a_built_bert_can_be_passed_from_python(tokens):
    bert = BertModel(CONFIG)
    model = BertForClassification(vocabulary("a", "b"), bert)
    assert model.bert is bert
    assert model.encoder_config is CONFIG


def test_a_built_bert_without_pooler_is_refused():
    message = r"^bert_model has no pooler to classify by; build it with add_pooling_layer=True$"
    with pytest.raises(ValueError, match=message):
        BertForClassification(vocabulary("a"), BertModel(CONFIG, add_pooling_layer=False))


def test_a_config_names_or_describes_the_bert_but_cannot_hold_a_built_one():
    schema = json_schema(Model)["$defs"]["Model.bert_for_classification"]["properties"]["bert_model"]
    assert schema["anyOf"] == [{"type": "string"}, {"$ref": "#/$defs/BertConfig"}]
    with pytest.raises(ConfigError, match=r"^config: bert_model: expected a string or a BertConfig, got 7$"):
        plan(Model, {"type": "bert_for_classification", "bert_model": 7})


def test_further_metrics_are_reported_under_their_names(tokens):
    metrics = {"top2": CategoricalAccuracy(2), "macro": FBeta()}
    model = BertForClassification(vocabulary("a", "b", "c"), CONFIG, metrics=metrics).eval()
    model(tokens, torch.full((4,), -100))
    assert model.get_metrics(reset=True) == {
        "accuracy": 0.0,
        "top2": 0.0,
        "macro_precision": 0.0,
        "macro_recall": 0.0,
        "macro_fscore": 0.0,
    }
    assert model.statistics == [model.accuracy, *metrics.values()]


@pytest.mark.parametrize(
    ("metrics", "name"),
    [
        ({"accuracy": CategoricalAccuracy(3)}, "accuracy"),
        ({"loss": CategoricalAccuracy()}, "loss"),
        ({"f": FBeta(), "f_fscore": CategoricalAccuracy()}, "f_fscore"),
    ],
)
def test_two_values_of_one_name_are_refused(metrics, name):
    message = (
        f'^model.metrics: two values would be reported as "{name}"; rename one '
        r"\(loss and accuracy are always there\)$"
    )
    with pytest.raises(ConfigError, match=message):
        BertForClassification(vocabulary("a", "b"), CONFIG, metrics=metrics)


def test_with_lora_only_updates_and_classifier_are_trained(tokens):
    planned = plan(
        Model,
        {
            "type": "bert_for_classification",
            "bert_model": {
                "vocab_size": 50,
                "hidden_size": 8,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
            },
            "lora": {"rank": 2, "alpha": 4, "targets": ["query"]},
        },
    )
    model = planned.build(vocab=vocabulary("a", "b", "c"))
    model(tokens, torch.tensor([0, 2, 1, 2]))["loss"].backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is not None] == [
        "bert.layers.0.attention.query.lora_a",
        "bert.layers.0.attention.query.lora_b",
        "classifier.weight",
        "classifier.bias",
    ]


def test_lora_in_an_encoder_that_is_not_trained_is_refused():
    message = "model.trainable: false leaves nothing for model.lora to train; drop one"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        BertForClassification(vocabulary("a", "b"), CONFIG, trainable=False, lora=Lora(2))


def test_the_loss_of_a_config_is_used_and_tells_over_how_much_it_is_a_mean(tokens):
    loss = {"class_weights": {"good": 3.0}, "label_smoothing": 0.1}
    config = {"type": "bert_for_classification", "bert_model": SIZES, "loss": loss}
    model = plan(Model, config).build(vocab=vocabulary("bad", "good")).eval()
    label = torch.tensor([0, 1, -100, 1])
    output = model(tokens, label)
    expected = F.cross_entropy(output["logits"], label, torch.tensor([1.0, 3.0]), label_smoothing=0.1)
    torch.testing.assert_close(output["loss"], expected)
    assert output["num_targets"].item() == 7.0


def test_balanced_weights_come_from_the_training_data_and_are_saved():
    settings = {"bert_model": SIZES, "loss": {"type": "focal", "class_weights": "balanced"}}
    planned = plan(Model, {"type": "bert_for_classification", **settings})
    counts = {"labels": {"good": 6, "bad": 2}}
    trained = planned.build(vocab=vocabulary("bad", "good"), label_counts=counts)
    opened = planned.build(vocab=vocabulary("bad", "good"))
    assert isinstance(opened.loss, Focal) and opened.loss.balanced.isnan().all()
    opened.load_state_dict(trained.state_dict())
    assert opened.loss.balanced.tolist() == pytest.approx([2.0, 2 / 3])


def test_the_default_loss_saves_nothing():
    assert not [name for name, _ in classifier().named_buffers() if name.startswith("loss")]
