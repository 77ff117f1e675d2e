import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.config.construct import plan
from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer
from bertx.data.token_indexers.token_indexer import TokenIndexer
from bertx.errors import ConfigError, DataError


def rows_of(indexed) -> list[list[int]]:
    return [row.tolist() for row in np.split(indexed.input_ids, indexed.offsets[1:-1])]


def test_a_text_stands_between_cls_and_sep(vocabulary_file):
    indexed = BertPretrainedIndexer(str(vocabulary_file)).index(["UNwantéd,running", "low"])
    assert rows_of(indexed) == [[1, 9, 6, 7, 12, 10, 11, 2], [1, 13, 2]]
    assert indexed.first_lengths.tolist() == [8, 3]
    assert indexed.full_lengths.tolist() == [8, 3]


def test_a_pair_is_cls_a_sep_b_sep(vocabulary_file):
    indexed = BertPretrainedIndexer(str(vocabulary_file)).index(["UNwanted", "low"], ["low lowest", "wa"])
    assert rows_of(indexed) == [[1, 9, 6, 7, 2, 13, 14, 2], [1, 13, 2, 8, 2]]
    assert indexed.first_lengths.tolist() == [5, 3]


def test_empty_texts_leave_the_special_tokens(vocabulary_file):
    indexer = BertPretrainedIndexer(str(vocabulary_file))
    assert rows_of(indexer.index(["", "low"])) == [[1, 2], [1, 13, 2]]
    assert rows_of(indexer.index(["", "low"], ["", ""])) == [[1, 2, 2], [1, 13, 2, 2]]


def test_no_texts_give_no_rows(vocabulary_file):
    indexed = BertPretrainedIndexer(str(vocabulary_file)).index([])
    assert (indexed.input_ids.tolist(), indexed.offsets.tolist()) == ([], [0])


def test_arrays_have_the_documented_types(vocabulary_file):
    indexed = BertPretrainedIndexer(str(vocabulary_file), max_pieces=5).index(["low"] * 2, ["low wa un"] * 2)
    columns = [indexed.input_ids, indexed.offsets, indexed.first_lengths, indexed.full_lengths]
    assert [column.dtype.name for column in columns] == ["int32", "int64", "int32", "int32"]


def test_a_long_pair_is_shortened_and_its_full_length_kept(vocabulary_file):
    indexer = BertPretrainedIndexer(str(vocabulary_file), max_pieces=8)
    indexed = indexer.index(["unwanted running low", "low"], ["lowest low lowest low", "low"])
    assert rows_of(indexed) == [[1, 9, 6, 7, 2, 14, 13, 2], [1, 13, 2, 13, 2]]
    assert indexed.full_lengths.tolist() == [13, 5]
    assert indexed.first_lengths.tolist() == [5, 3]


@pytest.mark.parametrize(
    ("truncation", "expected"),
    [
        ("longest_first", [1, 5, 8, 9, 10, 2]),
        ("head", [1, 5, 8, 9, 10, 2]),
        ("tail", [1, 9, 10, 13, 14, 2]),
        ("head_tail", [1, 5, 10, 13, 14, 2]),
    ],
)
def test_truncation_chooses_what_is_kept_of_a_text(vocabulary_file, truncation, expected):
    indexer = BertPretrainedIndexer(str(vocabulary_file), max_pieces=6, truncation=truncation)
    assert rows_of(indexer.index(["want wa un runn low lowest", "low"])) == [expected, [1, 13, 2]]


def test_head_tail_of_512_pieces_keeps_128_and_382(vocabulary_file):
    indexer = BertPretrainedIndexer(str(vocabulary_file), truncation="head_tail")
    row = rows_of(indexer.index(["want " * 200 + "low " * 600]))[0]
    assert (len(row), row.count(5), row.count(13)) == (512, 128, 382)


@pytest.fixture(scope="module")
def reference(vocabulary_file):
    """The tokenizer of transformers over the same vocabulary."""
    from transformers import BertTokenizerFast

    folder = vocabulary_file.parent / "reference"
    BertTokenizer.from_pretrained(vocabulary_file).save_pretrained(folder)
    return BertTokenizerFast.from_pretrained(folder)


words = st.lists(st.sampled_from(["low", "unwanted", "lowest", "running,", "x"]), max_size=9).map(" ".join)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=6), st.integers(5, 20))
@settings(deadline=None)
def test_pairs_are_those_of_transformers(vocabulary_file, reference, pairs, max_pieces):
    texts, seconds = map(list, zip(*pairs, strict=True))
    indexed = BertPretrainedIndexer(str(vocabulary_file), max_pieces=max_pieces).index(texts, seconds)
    theirs = reference(texts, seconds, truncation="longest_first", max_length=max_pieces)
    assert rows_of(indexed) == theirs["input_ids"]
    assert indexed.first_lengths.tolist() == [types.count(0) for types in theirs["token_type_ids"]]
    assert indexed.full_lengths.tolist() == [len(ids) for ids in reference(texts, seconds)["input_ids"]]


@given(st.lists(words, min_size=1, max_size=6), st.integers(3, 20))
@settings(deadline=None)
def test_single_texts_are_those_of_transformers(vocabulary_file, reference, texts, max_pieces):
    indexed = BertPretrainedIndexer(str(vocabulary_file), max_pieces=max_pieces).index(texts)
    assert rows_of(indexed) == reference(texts, truncation=True, max_length=max_pieces)["input_ids"]


def test_a_long_text_is_an_error_if_truncation_is_off(vocabulary_file):
    indexer = BertPretrainedIndexer(str(vocabulary_file), max_pieces=4, truncate_long_sequences=False)
    with pytest.raises(
        DataError, match=r"the text 'low low low' has 5 pieces, .* max_pieces is 4 and truncate_"
    ):
        indexer.index(["low low", "low low low"])


def test_too_few_pieces_for_a_text_are_refused(vocabulary_file):
    with pytest.raises(ConfigError, match="max_pieces: 2 leaves no room for text"):
        BertPretrainedIndexer(str(vocabulary_file), max_pieces=2)


def test_too_few_pieces_for_a_pair_are_refused(vocabulary_file):
    with pytest.raises(
        ConfigError, match="max_pieces: 4 leaves no room for a pair of texts; give at least 5"
    ):
        BertPretrainedIndexer(str(vocabulary_file), max_pieces=4).index(["low"], ["low"])


def test_texts_and_pairs_must_be_equally_many(vocabulary_file):
    with pytest.raises(ValueError, match="1 texts but 2 second texts"):
        BertPretrainedIndexer(str(vocabulary_file)).index(["low"], ["low", "low"])


def test_do_lowercase_overrides_the_files(vocabulary_file):
    indexer = BertPretrainedIndexer(str(vocabulary_file), do_lowercase=False)
    assert rows_of(indexer.index(["Low low"])) == [[1, 0, 13, 2]]


def test_never_lowercase_accepts_special_tokens_only(vocabulary_file):
    indexer = BertPretrainedIndexer(str(vocabulary_file), never_lowercase=["[MASK]"])
    assert rows_of(indexer.index(["[MASK] Low"])) == [[1, 4, 13, 2]]
    with pytest.raises(ConfigError, match="never_lowercase: 'Apple' is not one of the special tokens"):
        BertPretrainedIndexer(str(vocabulary_file), never_lowercase=["Apple"])


def test_the_fingerprint_changes_with_what_changes_the_ids(vocabulary_file):
    def fingerprint(**options):
        return BertPretrainedIndexer(str(vocabulary_file), **options).fingerprint()

    same = {fingerprint(), fingerprint(use_starting_offsets=True), fingerprint(do_lowercase=True)}
    others = {fingerprint(max_pieces=8), fingerprint(truncation="tail"), fingerprint(do_lowercase=False)}
    assert (len(same), len(others - same)) == (1, 3)


def test_a_config_describes_it(vocabulary_file):
    config = {"type": "bert-pretrained", "pretrained_model": str(vocabulary_file), "max_pieces": 64}
    indexer = plan(TokenIndexer, config).build()
    assert isinstance(indexer, BertPretrainedIndexer)
    assert (indexer.max_pieces, indexer.truncation) == (64, "longest_first")
