"""The expected arrays were made with KerasHub 0.32."""

from __future__ import annotations

import numpy as np
import pytest

from bertx.keras_style.models import BertTextClassifierPreprocessor, BertTokenizer
from tests.keras_style.small import preprocessor

PAIR = ("the quick brown fox the quick", "fox . brown")


@pytest.mark.parametrize(
    ("x", "sequence_length", "truncate", "token_ids", "segment_ids"),
    [
        (PAIR, 8, "round_robin", [2, 5, 6, 7, 3, 8, 9, 3], [0, 0, 0, 0, 0, 1, 1, 1]),
        (PAIR, 8, "waterfall", [2, 5, 6, 7, 8, 5, 3, 3], [0, 0, 0, 0, 0, 0, 0, 1]),
        (PAIR, 14, "round_robin", [2, 5, 6, 7, 8, 5, 6, 3, 8, 9, 7, 3, 0, 0], [0] * 8 + [1] * 4 + [0, 0]),
        (
            ("the", "fox", "a b"),
            10,
            "round_robin",
            [2, 5, 3, 8, 3, 10, 11, 3, 0, 0],
            [0, 0, 0, 1, 1, 2, 2, 2, 0, 0],
        ),
        ("the fox", 6, "round_robin", [2, 5, 8, 3, 0, 0], [0] * 6),
    ],
)
def test_texts_are_packed_as_kerashub_packs_them(x, sequence_length, truncate, token_ids, segment_ids):
    packed = preprocessor(sequence_length, truncate)(x)
    assert packed["token_ids"].tolist() == token_ids
    assert packed["segment_ids"].tolist() == segment_ids
    assert packed["padding_mask"].tolist() == [id_ != 0 for id_ in token_ids]


def test_rows_of_pairs_have_rows():
    packed = preprocessor(6)((["the", "a"], np.array(["fox", "b"])))
    assert packed["token_ids"].tolist() == [[2, 5, 3, 8, 3, 0], [2, 10, 3, 11, 3, 0]]
    assert (packed["token_ids"].dtype, packed["padding_mask"].dtype) == (np.int32, np.bool_)


def test_labels_and_weights_pass_through():
    features, labels = preprocessor()(["the", "a"], [1, 0])
    assert (features["token_ids"].shape, labels) == ((2, 10), [1, 0])
    assert preprocessor()("the", 1, 0.5)[1:] == (1, 0.5)


def test_the_length_can_be_changed():
    made = preprocessor()
    made.sequence_length = 4
    assert made("the quick brown")["token_ids"].tolist() == [2, 5, 6, 3]


def test_a_preset_has_its_preprocessor(preset):
    assert BertTextClassifierPreprocessor.from_preset(preset).sequence_length == 10
    made = BertTextClassifierPreprocessor.from_preset(preset, sequence_length=5, truncate="waterfall")
    assert made(("the fox", "a"))["token_ids"].tolist() == [2, 5, 8, 3, 3]


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            [["the", "fox"]],
            ValueError,
            "x holds lists; expected texts. Pairs are a tuple of two lists of tex",
        ),
        (("the", ["fox"]), ValueError, "'the' is one text beside lists of texts; expected as many of each"),
        (["the", 3], TypeError, "x holds 3; expected texts"),
        (3, TypeError, "x is a int; expected texts. Token ids need a model without preprocessor"),
        (
            ("the", "fox", "a", "b", "."),
            ValueError,
            "sequence_length is 4; expected at least 6, for the spec",
        ),
    ],
)
def test_what_are_no_texts_is_refused(x, error, message):
    with pytest.raises(error, match=message):
        preprocessor(4)(x)


def test_an_unknown_truncation_is_refused():
    with pytest.raises(ValueError, match="truncate is 'longest'; expected round_robin or waterfall"):
        BertTextClassifierPreprocessor(BertTokenizer(preprocessor().tokenizer.get_vocabulary()), 8, "longest")
