"""What users get wrong: the status, the essential words, and that nothing is left half-written."""

import gzip
import json
import re

import pytest

from tests.commands import bertx
from tests.tiny import config, workplace, write_lines

GOOD = ('{"text": "a fine film", "label": "positive"}', '{"text": "a dull film", "label": "negative"}')
SMALL = config()["model"]["bert_model"]
PIECES = "dataset_reader__token_indexers__bert__max_pieces"

CONFIGS = {
    "unknown key": ({"colour": "red"}, r"tiny.jsonnet:\d+: colour: unknown key \(Experiment takes: .*model"),
    "misspelt key": (
        {"train_data_path": ..., "trian_data_path": "x"},
        r'trian_data_path: unknown key; did you mean "train_data_path"\?',
    ),
    "misspelt inner key": (
        {"trainer__optimizer": {"type": "adamw", "lrr": 1}},
        r'trainer.optimizer.lrr: unknown key; did you mean "lr"\?',
    ),
    "misspelt name": (
        {"model__type": "bert_for_clasification"},
        r'no Model is registered as "bert_for_clasification"; did you mean "bert_for_classification"\?',
    ),
    "word for a number": ({"trainer__num_epochs": "three"}, r"trainer.num_epochs: expected a whole number"),
    "part of a batch": (
        {"data_loader__batch_sampler__batch_size": 1.5},
        r"data_loader.batch_sampler.batch_size: expected a whole number",
    ),
    "boolean for a number": ({"model__dropout": True}, r"model.dropout: expected a number.*, got true"),
    "number for a path": ({"train_data_path": 7}, r"train_data_path: expected a string, got 7"),
    "missing key": ({"model": ...}, r'"model" is missing; Experiment needs it'),
    "missing inner key": ({"trainer__optimizer": ...}, r'trainer: "optimizer" is missing'),
    "metric without sign": ({"trainer__validation_metric": "accuracy"}, r'"accuracy" has no sign'),
    "unknown metric": (
        {"trainer__validation_metric": "+acuracy"},
        r'the model reports no "acuracy".*; it reports: accuracy, loss',
    ),
    "unknown index": ({"model__index": "tokens"}, r'none is called "tokens", which the model reads'),
    "tokenizer too big": (
        {"model__bert_model": {**SMALL, "vocab_size": 100}},
        r"its tokenizer has 8192 pieces, the encoder only 100; name the same encoder in both places",
    ),
    "impossible encoder": (
        {"model__bert_model": {**SMALL, "num_attention_heads": 5}},
        r"hidden_size is 32, which 5 attention heads cannot share equally",
    ),
    "too few classes": ({"model__num_labels": 1}, r"model.num_labels: 1 classes, but the data have 2 labels"),
    "no epochs": ({"trainer__num_epochs": 0}, r"num_epochs.*at least 1"),
    "two samplers": ({"data_loader__batch_size": 4}, r"batch_sampler: excludes batch_size"),
}


@pytest.fixture
def place(tmp_path):
    return workplace(tmp_path / "place")


def refused(place, status, message, *options):
    """Asserts that training is refused, without a traceback and without leaving anything."""
    before = sorted(place.parent.rglob("*"))
    done = bertx("train", place, "-s", place.parent / "run", *options)
    assert (done.status, done.out) == (status, "")
    assert re.search(message, done.err), done.err
    assert "Traceback" not in done.err
    assert sorted(place.parent.rglob("*")) == before


@pytest.mark.parametrize(("changes", "message"), CONFIGS.values(), ids=CONFIGS)
def test_a_wrong_config_is_status_two(place, changes, message):
    place.write_text(json.dumps(config(**changes), indent=2))
    refused(place, 2, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"tiny.jsonnet: the file is empty"),
        ("{\n  model: ,\n}", r"tiny.jsonnet:2:\d+"),
        ("[1]", r"tiny.jsonnet: a config must be an object"),
        ('{ model: std.extVar("ENCODER") }', r"tiny.jsonnet:1.*ENCODER"),
        ('{ model: import "none.libsonnet" }', r"none.libsonnet"),
    ],
)
def test_a_config_that_cannot_be_read_is_status_two(place, text, message):
    place.write_text(text)
    refused(place, 2, message)


def test_a_missing_config_is_status_two(tmp_path):
    done = bertx("train", tmp_path / "no.jsonnet", "-s", tmp_path / "run")
    assert (done.status, list(tmp_path.iterdir())) == (2, [])
    assert re.search(r"no.jsonnet: no such file; the current folder is /", done.err)


@pytest.mark.parametrize("edit", ["trainer.num_epochs", "trainer.none.x=1", "{", "~nothing", "model=7"])
def test_a_wrong_override_is_status_two(place, edit):
    refused(place, 2, r"^(-o|--overrides)", "-o", edit)


@pytest.mark.parametrize("name", ["none.py", "no_such_module"])
def test_a_missing_package_is_status_two(place, name):
    refused(place, 2, rf"--include-package {name}: no", "--include-package", name)


DATA = {
    "malformed": (
        [GOOD[0], '{"text": '],
        r"train.jsonl:2: not JSON \(.*\); expected one JSON object per line",
    ),
    "list": ([GOOD[0], "[]"], r"train.jsonl:2: not a JSON object \(found a list\)"),
    "string": (['"a film"'], r"train.jsonl:1: not a JSON object \(found a string\)"),
    "empty": ([], r"train.jsonl: no instances; expected at least one record"),
    "blank": (["", "  "], r"train.jsonl: no instances"),
    "text missing": (
        [GOOD[0], '{"txet": "a", "label": "positive"}'],
        r'train.jsonl:2: "text" is missing; did you mean "txet"\?',
    ),
    "text of the wrong type": (['{"text": 5, "label": "x"}'], r'train.jsonl:1: "text" is a number \(5\)'),
    "label missing": (
        [GOOD[0], '{"text": "a"}'],
        r'train.jsonl:2: "label" is missing; .*needs text and label',
    ),
    "label null": ([GOOD[0], '{"text": "a", "label": null}'], r'train.jsonl:2: "label" is null'),
    "label empty": ([GOOD[0], '{"text": "a", "label": ""}'], r'train.jsonl:2: "label" is empty'),
    "label of the wrong type": (['{"text": "a", "label": [1]}'], r'train.jsonl:1: "label" is a list'),
    "NaN": (['{"text": "a", "label": NaN}'], r"train.jsonl:1: not JSON .*; JSON has no NaN or Infinity"),
}


@pytest.mark.parametrize(("lines", "message"), DATA.values(), ids=DATA)
def test_wrong_training_data_are_status_four(place, lines, message):
    write_lines(place.parent / "data" / "train.jsonl", *lines)
    refused(place, 4, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "caf\xe9", "label": "x"}\n', r"train.jsonl:1: byte 0xe9 at offset 13 is not UTF-8"),
        ("\n".join(GOOD).encode("utf-16"), r"train.jsonl:1: looks like UTF-16; text must be UTF-8"),
        (b"\x00" * 50, r"train.jsonl:1: not JSON"),
    ],
)
def test_training_data_in_another_encoding_are_status_four(place, content, message):
    (place.parent / "data" / "train.jsonl").write_bytes(content)
    refused(place, 4, message)


def test_a_damaged_compressed_file_is_status_four(place):
    whole = gzip.compress("\n".join(GOOD * 500).encode())
    (place.parent / "data" / "train.jsonl.gz").write_bytes(whole[:-20])
    refused(
        place, 4, r"train.jsonl.gz:\d+: the file cannot be read", "-o", "train_data_path=data/train.jsonl.gz"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_byte_order_marks_crlf_and_blank_lines_are_no_mistakes(place, encoding, ending):
    (place.parent / "data" / "train.jsonl").write_bytes(ending.join(GOOD * 8).encode(encoding))
    done = bertx("train", place, "-s", place.parent / "run", "--limit", 16)
    labels = (place.parent / "run" / "vocabulary" / "labels.txt").read_text()
    assert (done.status, labels) == (0, "positive\nnegative\n")


def test_a_missing_data_file_is_status_four_and_tells_where_it_looked(place):
    message = rf"data/none.jsonl: no such file; looked in {place.parent} and "
    refused(place, 4, message, "-o", "validation_data_path=data/none.jsonl")


def test_a_folder_of_data_is_status_four(place):
    refused(
        place,
        4,
        r"place/data: cannot be read \(Is a directory\); expected a data file",
        "-o",
        "train_data_path=data",
    )


def test_an_unknown_encoder_is_status_four(place, no_network):
    message = r"\.\./no encoder: neither a folder nor a file here \(looked in "
    refused(place, 4, message, "-o", 'model.bert_model="../no encoder"')


def test_a_sequence_longer_than_the_model_is_status_four(place):
    lines = (*GOOD, json.dumps({"text": "very " * 80, "label": "positive"}))
    write_lines(place.parent / "data" / "train.jsonl", *lines)
    message = (
        r"data/train.jsonl: the longest text has 82 pieces, but the encoder takes at most 64; set max_pieces"
    )
    refused(place, 4, message, "-o", "dataset_reader.token_indexers.bert.max_pieces=512")


def test_a_label_unseen_in_training_is_reported_for_validation_data(place):
    write_lines(place.parent / "data" / "dev.jsonl", *GOOD, '{"text": "so so", "label": "neutral"}')
    done = bertx("train", place, "-s", place.parent / "run", "--limit", 16)
    assert done.status == 0
    assert "validation data: labels that training has not seen: 'neutral' (1)" in done.err


def test_a_training_label_outside_the_vocabulary_is_status_four(place):
    write_lines(place.parent / "data" / "dev.jsonl", GOOD[0])
    done = bertx(
        "train", place, "-s", place.parent / "run", "-o", 'datasets_for_vocab_creation=["validation"]'
    )
    assert done.status == 4
    assert re.search(r"label 'negative' is not in the vocabulary \(labels: positive\)", done.err)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[]"], r"in.jsonl:1: not a JSON object"),
        (['{"txt": "a"}'], r"in.jsonl:1: \"(text|label)\" is missing"),
    ],
)
def test_wrong_input_of_a_run_is_status_four(trained, tmp_path, command, lines, message):
    done = bertx(command, trained.run, write_lines(tmp_path / "in.jsonl", *lines))
    assert (done.status, done.out) == (4, "")
    assert re.search(message, done.err)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_run_that_is_none_is_status_four(tmp_path, command):
    done = bertx(command, tmp_path / "none", tmp_path / "in.jsonl")
    assert done.status == 4
    assert re.search(r"none: no such run folder or archive; the current folder is /", done.err)


def test_evaluating_an_empty_file_is_status_four(trained, tmp_path):
    done = bertx("evaluate", trained.run, write_lines(tmp_path / "in.jsonl"))
    assert (done.status, done.out) == (4, "")
    assert re.search(r"in.jsonl: no instances; expected at least one record", done.err)
