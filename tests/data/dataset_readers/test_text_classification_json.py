import re
from pathlib import Path

import pytest

from bertx.config.construct import plan
from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.dataset_readers.text_classification_json import TextClassificationJsonReader
from bertx.data.instance import Instance, LabelField, MetadataField, TextField
from bertx.errors import DataError


@pytest.fixture
def reader(token_indexers):
    return TextClassificationJsonReader(token_indexers)


def write(*lines):
    Path("sst.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Path("sst.jsonl")


def test_a_line_becomes_an_instance(reader):
    file = write('{"text": "a gripping film", "label": "positive", "id": 17}')
    assert list(reader.read(file)) == [
        Instance({
            "tokens": TextField("a gripping film"),
            "label": LabelField("positive"),
            "metadata": MetadataField({"id": 17}),
        })
    ]  # fmt: skip


def test_other_keys_can_be_named(token_indexers):
    reader = TextClassificationJsonReader(
        token_indexers, text_key="q1", pair_key="q2", label_key="same", id_key="pair"
    )
    instance = reader.text_to_instance({"q1": "a", "q2": "b", "same": False, "pair": "7"})
    assert instance.fields["tokens"] == TextField("a", "b")
    assert instance.fields["label"] == LabelField("false")
    assert instance.fields["metadata"] == MetadataField({"id": "7"})


@pytest.mark.parametrize(
    ("label", "expected"), [("a", "a"), (1, "1"), (0, "0"), (-3, "-3"), (True, "true"), (False, "false")]
)
def test_labels_become_strings(reader, label, expected):
    assert reader.text_to_instance({"text": "", "label": label}).fields["label"] == LabelField(expected)


@pytest.mark.parametrize("record", [{"text": "a"}, {"text": "a", "label": None}, {"text": "a", "label": ""}])
def test_absent_null_and_empty_labels_are_no_labels(reader, record):
    assert reader.text_to_instance(record) == Instance({"tokens": TextField("a")})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "b"}', '"label" is missing; every line of a labelled file needs text and label'),
        ('{"text": "b", "lable": "x"}', '"label" is missing; did you mean "lable"?; every line'),
        ('{"text": "b", "label": null}', '"label" is null; every line of a labelled file needs'),
        ('{"text": "b", "label": ""}', '"label" is empty; every line of a labelled file needs'),
        ('{"text": "b", "label": 0.5}', '"label" is a number (0.5); expected a string, a whole number or'),
        (
            '{"text": "b", "label": ["x"]}',
            '"label" is a list; expected a string, a whole number or a boolean',
        ),
        ('{"label": "x"}', '"text" is missing'),
        ('{"text": 3.5, "label": "x"}', '"text" is a number (3.5); expected a string'),
        ('{"text": null, "label": "x"}', '"text" is null; expected a string'),
        ('{"text": "b", "label": "x", "id": {}}', '"id" is an object; expected a string or a whole number'),
        ('["b", "x"]', "not a JSON object (found a list)"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_wrong(reader, line, message):
    with pytest.raises(DataError, match=r"^sst\.jsonl:3: " + re.escape(message)):
        list(reader.read(write('{"text": "a", "label": "x"}', "", line)))


def test_a_pair_needs_both_texts(token_indexers):
    reader = TextClassificationJsonReader(token_indexers, pair_key="pair")
    with pytest.raises(ValueError, match='"pair" is missing'):
        reader.text_to_instance({"text": "a"})


def test_a_config_describes_it(token_indexers):
    vocabulary = token_indexers["bert"].pretrained_model
    config = {
        "type": "text_classification_json",
        "token_indexers": {"bert": {"pretrained_model": vocabulary}},
    }
    reader = plan(DatasetReader, config).build()
    assert isinstance(reader, TextClassificationJsonReader)
    assert list(reader.token_indexers) == ["bert"]


@pytest.mark.data
def test_sst2_is_read_whole(reader, data_folder):
    instances = list(reader.read(data_folder / "sst2" / "dev.jsonl"))
    assert len(instances) == 872
    assert sorted({instance.fields["label"].label for instance in instances}) == ["negative", "positive"]
