"""Readers of parts of a file: folds and fractions."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.bert.encoders import Encoders
from bertx.config.construct import plan
from bertx.data.cache import cache_key
from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.dataset_readers.part_reader import FoldReader, FractionReader
from bertx.errors import ConfigError, DataError
from tests.tiny import FIXTURES, write_lines

INNER = {
    "type": "text_classification_json",
    "token_indexers": {"bert": {"type": "bert-pretrained", "pretrained_model": "bert-tiny"}},
}


@pytest.fixture(scope="module")
def inner():
    return plan(DatasetReader, INNER).build(encoders=Encoders((FIXTURES,)))


@pytest.fixture
def data(tmp_path):
    records = [{"id": i, "text": "a film", "label": "rare" if i % 5 == 0 else "usual"} for i in range(23)]
    return write_lines(tmp_path / "train.jsonl", *records)


def ids(reader, path):
    return [record["id"] for _, record in reader.records(path)]


@pytest.mark.parametrize("stratify", [None, "label"])
def test_every_record_is_held_out_by_one_fold(inner, data, stratify):
    held = [
        ids(FoldReader(inner, data, 4, fold, held_out=True, stratify=stratify), data) for fold in range(4)
    ]
    assert sorted(number for fold in held for number in fold) == list(range(23))
    assert sorted(map(len, held)) == [5, 6, 6, 6]


def test_a_fold_trains_on_what_it_does_not_hold_out(inner, data):
    parts = [ids(FoldReader(inner, data, 4, 1, held_out=held), data) for held in (False, True)]
    assert sorted(parts[0] + parts[1]) == list(range(23))
    assert parts[0] == sorted(parts[0])


def test_strata_are_shared_out_equally(inner, data):
    folds = [FoldReader(inner, data, 5, fold, held_out=True, stratify="label") for fold in range(5)]
    assert [Counter(r["label"] for _, r in fold.records(data))["rare"] for fold in folds] == [1, 1, 1, 1, 1]


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=2), st.integers(0, 50))
def test_a_smaller_part_lies_within_a_larger_one(inner, tmp_path_factory, fractions, seed):
    records = [{"id": i, "text": "a film", "label": str(i % 3)} for i in range(30)]
    path = write_lines(tmp_path_factory.mktemp("part") / "train.jsonl", *records)
    small, large = (
        set(ids(FractionReader(inner, path, fraction, stratify="label", seed=seed), path))
        for fraction in sorted(fractions)
    )
    assert small <= large


def test_a_fraction_has_the_shares_of_the_file(inner, data):
    found = FractionReader(inner, data, 0.4, stratify="label").records(data)
    assert Counter(record["label"] for _, record in found) == {"usual": 7, "rare": 2}


def test_another_seed_gives_another_part(inner, data):
    parts = {tuple(ids(FractionReader(inner, data, 0.5, seed=seed), data)) for seed in range(5)}
    assert len(parts) == 5


def test_other_files_are_read_whole(inner, data, tmp_path):
    other = write_lines(
        tmp_path / "other.jsonl", {"id": 1, "text": "a", "label": "x"}, {"id": 2, "text": "b"}
    )
    assert ids(FractionReader(inner, data, 0.1), other) == [1, 2]


def test_the_inner_reader_decides_the_key_of_the_cache(inner, data):
    part = FoldReader(inner, data, 2, 0)
    assert (part.text_key, part.label_key, part.files(data)) == ("text", "label", [data])
    inside = [cls.__name__ for each in part.inner for cls in type(each).__mro__[:2]]
    assert inside == ["TextClassificationJsonReader", "TextClassificationReader"]
    assert cache_key(part, data, settings_hash="a", limit=None) != cache_key(
        inner, data, settings_hash="a", limit=None
    )


def test_a_record_without_its_stratum_is_an_error(inner, tmp_path):
    path = write_lines(tmp_path / "a.jsonl", {"text": "a", "label": "x"}, {"text": "b"})
    with pytest.raises(DataError, match=r'a.jsonl:2: "label" is missing, by which the data are stratified'):
        ids(FoldReader(inner, path, 2, 0, stratify="label"), path)


def test_parts_that_are_none_are_refused(inner, data):
    with pytest.raises(ConfigError, match="fold: 3 of k = 3; expected k of 2 or more"):
        FoldReader(inner, data, 3, 3)
    with pytest.raises(ConfigError, match=r"fraction: 1.5; expected more than 0 and at most 1"):
        FractionReader(inner, data, 1.5)
