import json
import logging
from collections import Counter
from pathlib import Path

import pytest

from bertx.data.dataset_readers.snli import SnliReader
from bertx.data.instance import Instance, LabelField, MetadataField, TextField
from bertx.errors import DataError


def write(*labels):
    """A file with one pair for each label."""
    lines = [json.dumps({"sentence1": "a", "sentence2": "b", "gold_label": label}) for label in labels]
    Path("snli.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Path("snli.jsonl")


def labels_of(reader, path):
    return [instance.fields["label"].label for instance in reader.read(path)]


def test_premise_and_hypothesis_make_a_pair(token_indexers):
    record = {"sentence1": "a", "sentence2": "b", "gold_label": "neutral", "pairID": "1#0"}
    assert SnliReader(token_indexers).text_to_instance(record) == Instance({
        "tokens": TextField("a", "b"),
        "label": LabelField("neutral"),
        "metadata": MetadataField({"id": "1#0"}),
    })  # fmt: skip


def test_pairs_without_agreement_are_left_out_and_counted(token_indexers, caplog):
    caplog.set_level(logging.INFO)
    file = write("neutral", "-", "entailment", "-")
    assert labels_of(SnliReader(token_indexers), file) == ["neutral", "entailment"]
    assert caplog.messages == ["snli.jsonl: left out 2 pairs without an agreed label (gold_label -)"]


def test_a_pair_to_predict_may_lack_agreement(token_indexers):
    record = {"sentence1": "a", "sentence2": "b", "gold_label": "-"}
    assert "label" not in SnliReader(token_indexers).text_to_instance(record).fields


def test_labels_can_be_collapsed_to_two(token_indexers):
    reader = SnliReader(token_indexers, collapse_labels=True)
    file = write("neutral", "contradiction", "entailment")
    assert labels_of(reader, file) == ["non-entailment", "non-entailment", "entailment"]


def test_a_pair_without_hypothesis_is_named(token_indexers):
    Path("snli.jsonl").write_text('{"sentence1": "a", "gold_label": "neutral"}')
    with pytest.raises(
        DataError, match=r'^snli\.jsonl:1: "sentence2" is missing; did you mean "sentence1"\?$'
    ):
        list(SnliReader(token_indexers).read(Path("snli.jsonl")))


@pytest.mark.data
def test_snli_is_read_whole(token_indexers, data_folder):
    labels = Counter(labels_of(SnliReader(token_indexers), data_folder / "snli" / "dev.jsonl"))
    assert labels == {"contradiction": 3278, "entailment": 3329, "neutral": 3235}
