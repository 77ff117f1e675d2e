import numpy as np
import pytest

from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.data.encoding import ChunkEncoder, encode_instances
from bertx.data.instance import Instance, LabelField, MetadataField, TextField
from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError, DataError
from tests.data.small import instance, labels, of_lengths

MIXED = [instance("a", "pos", id="x"), instance("b c"), instance("d", "neg"), instance("e", "pos")]


def test_texts_become_ids_end_to_end(indexer):
    dataset = encode_instances(MIXED, {"bert": indexer})
    assert len(dataset) == 4
    assert dataset.texts["tokens"]["bert"].input_ids.tolist() == [2, 5, 3, 2, 6, 7, 3, 2, 8, 3, 2, 9, 3]
    assert dataset.texts["tokens"]["bert"].offsets.tolist() == [0, 3, 7, 10, 13]


def test_labels_have_codes_in_first_seen_order(indexer):
    column = encode_instances(MIXED, {"bert": indexer}).labels["label"]
    assert (column.codes.tolist(), column.labels, column.namespace) == (
        [0, -1, 1, 0],
        ["pos", "neg"],
        "labels",
    )


def test_label_ids_follow_the_vocabulary(indexer):
    dataset = encode_instances(MIXED, {"bert": indexer})
    assert dataset.label_ids("label", labels("neg", "pos")).tolist() == [1, -100, 0, 1]
    assert dataset.label_ids("label", labels("neg", "pos"), np.array([3, 2])).tolist() == [1, 0]


def test_an_unseen_label_has_the_index_that_the_loss_ignores(indexer):
    dataset = encode_instances(MIXED, {"bert": indexer})
    assert dataset.label_ids("label", labels("neg")).tolist() == [-100, -100, 0, -100]


def test_an_unseen_label_of_a_padded_namespace_is_oov(indexer):
    dataset = encode_instances(MIXED, {"bert": indexer})
    vocabulary = Vocabulary.from_instances({"labels": {"neg": 1}}, non_padded_namespaces=[])
    assert dataset.label_ids("label", vocabulary).tolist() == [1, -100, 2, 1]


def test_counts_are_those_of_the_labels_by_namespace(indexer):
    instances = [
        Instance(
            {"tokens": TextField("a"), "label": LabelField("b"), "topic": LabelField("x", "topic_labels")}
        ),
        Instance({"tokens": TextField("a"), "label": LabelField("b"), "second": LabelField("a")}),
    ]
    counts = encode_instances(instances, {"bert": indexer}).counts()
    assert counts == {"labels": {"b": 2, "a": 1}, "topic_labels": {"x": 1}}


def test_rows_are_identified_by_id_or_else_by_number(indexer):
    dataset = encode_instances(MIXED, {"bert": indexer})
    assert [dataset.identifier(row) for row in range(4)] == ["x", "1", "2", "3"]


def test_metadata_reads_back(indexer):
    values = [{"id": 7, "tags": ["ü", None]}, None, "text"]
    instances = [Instance({"tokens": TextField("a"), "metadata": MetadataField(value)}) for value in values]
    dataset = encode_instances(instances, {"bert": indexer})
    assert [dataset.metadata["metadata"][row] for row in range(3)] == values
    assert dataset.identifier(0) == "7"


def test_lengths_are_those_of_the_longest_field_and_indexer(indexer, pieces_file):
    instances = [
        Instance({"premise": TextField("a a"), "hypothesis": TextField("b")}),
        Instance({"premise": TextField("a"), "hypothesis": TextField("b b b b")}),
    ]
    short = BertPretrainedIndexer(str(pieces_file), max_pieces=3)
    dataset = encode_instances(instances, {"short": short, "bert": indexer})
    assert dataset.lengths().tolist() == [4, 6]
    assert dataset.lengths(["premise"]).tolist() == [4, 3]


def test_sorting_by_a_field_that_is_not_there_names_those_that_are(indexer):
    message = r"^sorting_keys: the data has no text field 'text'; it has: tokens$"
    with pytest.raises(ConfigError, match=message):
        of_lengths([3], indexer).lengths(["text"])


def test_truncated_counts_rows_and_tokens(pieces_file):
    indexer = BertPretrainedIndexer(str(pieces_file), max_pieces=4)
    assert of_lengths([3, 4, 5, 9], indexer).truncated("tokens", "bert") == (2, 6)


def test_no_instances_are_an_error(indexer):
    with pytest.raises(DataError, match=r"^there are no instances to encode; expected one or more$"):
        encode_instances([], {"bert": indexer})


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            instance("b", pair="c"),
            "field 'tokens' is pair of texts, in those before it text; expected the same",
        ),
        (Instance({}), "field 'tokens' is no such field, in those before it text"),
        (Instance({"tokens": LabelField("a")}), "field 'tokens' is label, in those before it text"),
        (
            Instance({"tokens": TextField("a"), "label": LabelField("a", "tags")}),
            "field 'label' is of namespace 'tags', in those before it namespace 'labels'",
        ),
    ],
)
def test_an_instance_with_other_fields_is_named(indexer, second, message):
    with pytest.raises(DataError, match=rf"^instance 1 \(counted from 0\): {message}"):
        encode_instances([instance("a", "x"), second], {"bert": indexer})


def test_fields_are_compared_over_chunks_too(indexer):
    encoder = ChunkEncoder({"bert": indexer})
    encoder.encode([instance("a"), instance("b")])
    with pytest.raises(DataError, match=r"^instance 3 \(counted from 0\): field 'tokens' is pair of texts"):
        encoder.encode([instance("a"), instance("a", pair="b")])
    with pytest.raises(
        DataError, match=r"^instance 2 .*: field 'other' is text, in those before it no such field"
    ):
        encoder.encode([Instance({"tokens": TextField("a"), "other": TextField("a")})])


def test_label_codes_go_on_over_chunks(indexer):
    encoder = ChunkEncoder({"bert": indexer})
    assert encoder.encode([instance("a", "x"), instance("a", "y")]).labels["label"].labels == ["x", "y"]
    column = encoder.encode([instance("a", "z"), instance("a", "y")]).labels["label"]
    assert (column.codes.tolist(), column.labels) == ([2, 1], ["x", "y", "z"])


def test_ids_are_those_of_the_tokenizer(indexer, pieces_file):
    dataset = encode_instances([instance("axyz  b", pair="dx q")], {"bert": indexer})
    expected = BertTokenizer.from_pretrained(pieces_file).encode("axyz  b", "dx q")
    assert dataset.texts["tokens"]["bert"].input_ids.tolist() == expected
