"""What a call returns, against the fast tokenizer of transformers."""

from __future__ import annotations

import logging
import random
import re
import warnings

import numpy as np
import pytest
import torch
import transformers

from bertx.bert.tokenization.batch_encoding import BatchEncoding
from bertx.bert.tokenization.tokenizer import BertTokenizer
from tests.bert.tokenization.tokenizer_texts import VOCAB as SMALL
from tests.bert.tokenization.tokenizer_texts import random_text

WORDS = "[UNK] [CLS] [SEP] [PAD] [MASK] want ##want ##ed wa un runn ##ing , low lowest"
VOCAB = {piece: id_ for id_, piece in enumerate(WORDS.split())}


@pytest.fixture
def tokenizer() -> BertTokenizer:
    return BertTokenizer(VOCAB)


def both(**options) -> tuple[BertTokenizer, transformers.BertTokenizer]:
    return BertTokenizer(SMALL, **options), transformers.BertTokenizer(vocab=SMALL, **options)


def same(ours: BatchEncoding, theirs: transformers.BatchEncoding) -> bool:
    """Whether all values, and what is known of tokens, words and texts, are equal."""
    return dict(ours) == dict(theirs) and all(
        (ours.tokens(row), ours.word_ids(row), ours.sequence_ids(row))
        == (theirs.tokens(row), theirs.word_ids(row), theirs.sequence_ids(row))
        for row in range(len(theirs.encodings))
    )


def test_a_pair_has_segments_masks_and_offsets(tokenizer: BertTokenizer) -> None:
    encoded = tokenizer(
        "UNwanted",
        "low lowest",
        return_special_tokens_mask=True,
        return_offsets_mapping=True,
        return_length=True,
    )
    assert encoded == {
        "input_ids": [1, 9, 6, 7, 2, 13, 14, 2],
        "token_type_ids": [0, 0, 0, 0, 0, 1, 1, 1],
        "attention_mask": [1] * 8,
        "special_tokens_mask": [1, 0, 0, 0, 1, 0, 0, 1],
        "offset_mapping": [(0, 0), (0, 2), (2, 6), (6, 8), (0, 0), (0, 3), (4, 10), (0, 0)],
        "length": [8],
    }


LONG_PAIR = ("unwanted running low", "lowest low lowest low")


@pytest.mark.parametrize(
    ("truncation", "side", "expected"),
    [
        (True, "right", [1, 9, 6, 7, 2, 14, 13, 2]),
        ("only_first", "right", [1, 9, 2, 14, 13, 14, 13, 2]),
        ("longest_first", "left", [1, 10, 11, 13, 2, 14, 13, 2]),
        (None, "right", [1, 9, 6, 7, 2, 14, 13, 2]),
    ],
)
def test_a_long_pair_is_cut(truncation, side, expected) -> None:
    tokenizer = BertTokenizer(VOCAB, truncation_side=side)
    assert tokenizer(*LONG_PAIR, truncation=truncation, max_length=8)["input_ids"] == expected


def test_windows_over_a_long_text_share_the_stride(tokenizer: BertTokenizer) -> None:
    texts = "low " * 5, "low lowest low"
    options = {"truncation": "only_second", "max_length": 10, "stride": 1, "return_overflowing_tokens": True}
    encoded = tokenizer(*texts, **options)
    assert encoded["input_ids"] == [[1, *[13] * 5, 2, 13, 14, 2], [1, *[13] * 5, 2, 14, 13, 2]]
    assert encoded["overflow_to_sample_mapping"] == [0, 0]
    assert encoded.sequence_ids(1) == [None, 0, 0, 0, 0, 0, None, 1, 1, None]


def test_no_window_is_longer_than_a_row(tokenizer: BertTokenizer) -> None:
    options = {"truncation": True, "return_overflowing_tokens": True, "padding": True}
    assert tokenizer("low low", "want", max_length=3, **options)["input_ids"] == [[1, 2, 2]]
    assert tokenizer("low low", "want low", max_length=4, **options)["input_ids"] == [
        [1, 2, 5, 2],
        [1, 2, 13, 2],
    ]


def test_words_keep_their_numbers(tokenizer: BertTokenizer) -> None:
    encoded = tokenizer([["low", "unwanted"]], is_split_into_words=True)
    assert encoded.word_ids() == [None, 0, 1, 1, 1, None]
    assert (encoded.word_to_tokens(1), encoded.word_to_chars(1), encoded.token_to_word(3)) == (
        (2, 5),
        (0, 8),
        1,
    )


def test_characters_lead_to_tokens_and_back(tokenizer: BertTokenizer) -> None:
    encoded = tokenizer(["low", "unwanted low"], ["low", "low"])
    assert encoded.char_to_token(1, 9) == 4
    assert encoded.char_to_token(1, 1, sequence_index=1) == 6
    assert encoded.char_to_token(1, 8) is None
    assert (encoded.token_to_chars(1, 2), encoded.token_to_sequence(1, 6)) == ((2, 6), 1)
    assert (encoded.char_to_word(1, 9), encoded.token_to_chars(0)) == (1, None)


def test_rows_are_filled_to_a_multiple(tokenizer: BertTokenizer) -> None:
    encoded = tokenizer(["low", "low low lowest"], padding=True, pad_to_multiple_of=8, return_tensors="pt")
    assert encoded["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0]]
    assert (encoded.input_ids.dtype, encoded.input_ids[0, 3:].tolist()) == (torch.int64, [3] * 5)
    assert tokenizer("low", padding="max_length", max_length=5, padding_side="left")["input_ids"] == [
        3,
        3,
        1,
        13,
        2,
    ]


def test_the_length_of_the_model_stands_in(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = BertTokenizer(VOCAB, model_max_length=4)
    assert tokenizer("low low low", truncation=True)["input_ids"] == [1, 13, 13, 2]
    assert tokenizer("low", padding="max_length")["input_ids"] == [1, 13, 2, 3]
    assert caplog.messages == []
    assert (
        tokenizer("low low low")["input_ids"] == tokenizer("low low low")["input_ids"] == [1, 13, 13, 13, 2]
    )
    assert caplog.messages == ["a row has 5 tokens, but the model reads at most 4; give truncation=True"]


def test_without_a_known_length_nothing_is_cut_or_filled(tokenizer: BertTokenizer) -> None:
    assert tokenizer("low low", truncation=True, padding="max_length")["input_ids"] == [1, 13, 13, 2]


def test_a_length_that_cuts_nothing_is_warned_of(tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    assert len(tokenizer("low low", padding=True, max_length=3)["input_ids"]) == 4
    assert caplog.messages == ["max_length=3 cuts nothing without truncation=True"]


def test_a_batch_may_hold_pairs(tokenizer: BertTokenizer) -> None:
    assert tokenizer([("low", "want"), "low"])["input_ids"] == [[1, 13, 2, 5, 2], [1, 13, 2]]
    words = [(["low"], ["want"]), ["low"]]
    assert tokenizer(words, is_split_into_words=True)["input_ids"] == [[1, 13, 2, 5, 2], [1, 13, 2]]
    assert tokenizer([])["input_ids"] == []


def test_tensors_move_and_unpack(tokenizer: BertTokenizer) -> None:
    encoded = tokenizer(["low"], return_tensors="pt").to("cpu")
    assert {name: tensor.tolist() for name, tensor in encoded.tensors().items()}["input_ids"] == [[1, 13, 2]]
    assert tokenizer("low", return_tensors="np")["input_ids"].dtype == np.int64
    with pytest.raises(TypeError, match=r"^attention_mask is not a tensor; give return_tensors='pt'$"):
        tokenizer("low").tensors()
    with pytest.raises(AttributeError, match=r"^there is no 'labels'; there are input_ids, token_type_ids"):
        _ = encoded.labels


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (
            ("low",),
            {"padding": "longer"},
            "padding is 'longer'; expected True, False, 'longest', 'max_length'",
        ),
        (("low",), {"truncation": "first"}, "truncation is 'first'; expected True, False, 'longest_first'"),
        (("low",), {"stride": -1}, "stride is -1; expected 0 or more"),
        (("low",), {"return_tensors": "tf"}, "return_tensors is 'tf'; expected 'pt', 'np' or None"),
        (
            ("low",),
            {"max_length": 5, "truncation": True, "padding": True, "pad_to_multiple_of": 8},
            "rows are cut to max_length 5 and filled to a multiple of 8; expected a max_length that is",
        ),
        (
            ("low low",),
            {"max_length": 1},
            "max_length is 1, which leaves no room for the 2 special tokens; expected at least 2",
        ),
        (
            ("low low low",),
            {"max_length": 4, "stride": 2},
            "stride is 2, and a row has room for 2 tokens of text; expected a smaller stride",
        ),
        (
            ("low " * 9, "low " * 9),
            {"max_length": 9, "stride": 3},
            "stride is 3, but a text was cut to 3 tokens; expected a smaller stride",
        ),
        (
            LONG_PAIR,
            {"max_length": 8, "truncation": "only_second"},
            "truncation is 'only_second' and max_length 8, but that text has 4 tokens and would have to "
            "lose 5; raise max_length or take 'longest_first'",
        ),
        (
            ("low low",),
            {"max_length": 3, "truncation": "only_second"},
            "truncation is 'only_second', but there is no second text; give a pair",
        ),
        (
            (["low", "low low"],),
            {"return_tensors": "pt"},
            "input_ids: the rows have 3 to 4 tokens; a tensor needs rows of one length; give padding=True, "
            "and truncation=True with max_length where texts are long",
        ),
        ((["low", "low"], ["low"]), {}, "2 texts need as many second texts; expected a list of that length"),
    ],
)
def test_impossible_wishes_are_refused(tokenizer: BertTokenizer, texts, options, message) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        tokenizer(*texts, **options)


@pytest.mark.parametrize("texts", [["low", None], [["low"]], [3]])
def test_what_is_no_text_is_refused(tokenizer: BertTokenizer, texts) -> None:
    with pytest.raises(TypeError, match=r"is neither a text nor a pair of texts$"):
        tokenizer(texts)


def test_a_word_that_is_no_string_is_refused(tokenizer: BertTokenizer) -> None:
    with pytest.raises(TypeError, match=r"^\['low', 3\] is not a text; expected a list of words$"):
        tokenizer(["low", 3], is_split_into_words=True)


def test_calls_leave_nothing_behind(tokenizer: BertTokenizer) -> None:
    before = tokenizer.encode_ragged(["low low low"]).ids.tolist()
    tokenizer("low low low", truncation=True, max_length=3, padding="max_length")
    assert tokenizer.encode_ragged(["low low low"]).ids.tolist() == before


@pytest.mark.parametrize("seed", range(20))
def test_2000_unicode_texts_encode_as_in_transformers(seed: int) -> None:
    source = random.Random(seed)
    lower, strip, chinese = seed % 2 == 0, [None, True, False][seed % 3], seed % 4 < 3
    ours, theirs = both(do_lower_case=lower, strip_accents=strip, tokenize_chinese_chars=chinese)
    texts = [random_text(source, longest=30) for _ in range(100)]
    options = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    expected = theirs(texts, **options)
    assert same(ours(texts, **options), expected)
    assert [ours.decode(ids) for ids in expected["input_ids"]] == theirs.batch_decode(
        expected["input_ids"], clean_up_tokenization_spaces=True
    )


def random_options(source: random.Random) -> dict[str, object]:
    padding = source.choice([False, True, "longest", "max_length", "do_not_pad"])
    return {
        "add_special_tokens": source.random() < 0.8,
        "padding": padding,
        "truncation": source.choice([None, True, False, "longest_first", "only_first", "only_second"]),
        "max_length": source.choice([None, 4, 5, 8, 9, 12, 20]),
        "stride": source.choice([0, 0, 1, 2]),
        "pad_to_multiple_of": source.choice([None, None, 4]),
        "padding_side": source.choice([None, "left"]),
        "return_token_type_ids": source.random() < 0.9,
        "return_attention_mask": source.random() < 0.9,
        "return_overflowing_tokens": source.random() < 0.4,
        "return_special_tokens_mask": source.random() < 0.5,
        "return_offsets_mapping": source.random() < 0.6,
        "return_length": source.random() < 0.3,
    }


def random_inputs(source: random.Random, words: bool) -> tuple[object, object]:
    """A text or a batch, alone or with second texts, in words or not."""
    count = source.randrange(1, 4) if source.random() < 0.6 else 0

    def one() -> object:
        return (
            [random_text(source, 5) for _ in range(source.randrange(1, 5))]
            if words
            else random_text(source, 6)
        )

    def some() -> object:
        return [one() for _ in range(count)] if count else one()

    # transformers takes an empty second text, outside a batch, for none.
    return some(), (some() or "a") if source.random() < 0.5 else None


@pytest.mark.parametrize("seed", range(30))
def test_random_options_give_what_transformers_gives(seed: int) -> None:
    """Each seed tries 20 combinations; where one side refuses, so does the other."""
    source = random.Random(1000 + seed)
    options = {side: source.choice(["left", "right"]) for side in ("padding_side", "truncation_side")}
    ours, theirs = both(**options, **({"model_max_length": 9} if seed % 2 else {}))
    for _ in range(20):
        words = source.random() < 0.3
        inputs = random_inputs(source, words)
        options = {**random_options(source), "is_split_into_words": words}
        if options["return_overflowing_tokens"] and options["max_length"] in (4, 5):
            continue  # over a text that loses all tokens, transformers returns windows longer than max_length
        assert compare(ours, theirs, inputs, options), (inputs, options)


def compare(ours, theirs, inputs, options) -> bool:
    try:
        mine = ours(*inputs, **options)
    except ValueError as error:
        if "stride" in str(error) or "special tokens" in str(error):
            return True  # where transformers crashes, or silently cuts nothing
        with pytest.raises(Exception, match=r"too short|not provided|not a multiple"):
            theirs(*inputs, **options)
        return True
    if not options["return_overflowing_tokens"]:
        options = {**options, "stride": 0}  # transformers refuses a stride before it knows the texts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return same(mine, theirs(*inputs, **options))


@pytest.fixture(autouse=True)
def quiet_transformers():
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
