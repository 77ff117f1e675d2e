"""KerasHub's rules for words."""

from __future__ import annotations

import os
import random

import pytest

from bertx.bert.tokenization.packing import SegmentPacker
from bertx.bert.tokenization.tokenizer import BertTokenizer
from tests.bert.tokenization.tokenizer_texts import VOCAB, random_text

PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] h ##é ##llo hello strasse straße soft hyphen [ cls ] CLS ﬁ fi"
SMALL = {piece: id_ for id_, piece in enumerate(PIECES.split())}


def pieces(text: str, **options) -> list[str]:
    return BertTokenizer(SMALL, word_rules="keras_hub", **options).tokenize(text)


def test_case_is_folded_but_accents_stay_unless_told_to_go() -> None:
    assert pieces("Héllo") == ["h", "##é", "##llo"]
    assert pieces("Héllo", strip_accents=True) == ["hello"]
    assert pieces("straße ﬁ") == ["strasse", "fi"]
    assert pieces("straße ﬁ", do_lower_case=False) == ["straße", "ﬁ"]


def test_a_soft_hyphen_ends_a_word() -> None:
    assert pieces("soft\u00adhyphen") == ["soft", "hyphen"]
    assert BertTokenizer(SMALL).tokenize("soft\u00adhyphen") == ["[UNK]"]


def test_special_tokens_may_be_read_as_text() -> None:
    assert pieces("[CLS]", split_special_tokens=True) == ["[", "cls", "]"]
    assert pieces("[CLS]", split_special_tokens=True, do_lower_case=False) == ["[", "CLS", "]"]
    assert pieces("[CLS]") == ["[CLS]"]


def test_a_word_of_over_100_bytes_is_unknown() -> None:
    vocab = {**SMALL, "é": 19}
    tokenizer = BertTokenizer(vocab, word_rules="keras_hub")
    assert tokenizer.tokenize("h" + "é" * 49)[:2] == ["h", "##é"]
    assert tokenizer.tokenize("h" + "é" * 50) == ["[UNK]"]


def test_offsets_are_those_of_the_raw_text() -> None:
    tokenizer = BertTokenizer(SMALL, word_rules="keras_hub")
    encoded = tokenizer("soft\u00ad straße HÉllo", return_offsets_mapping=True, add_special_tokens=False)
    assert encoded["offset_mapping"] == [(0, 4), (6, 12), (13, 14), (14, 15), (15, 18)]


@pytest.fixture
def keras_hub():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras_hub")


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("strip_accents", [False, True])
@pytest.mark.parametrize("specials", [False, True])
def test_random_texts_encode_as_in_keras_hub(keras_hub, lowercase, strip_accents, specials) -> None:
    theirs = keras_hub.models.BertTokenizer(
        vocabulary=list(VOCAB),
        lowercase=lowercase,
        strip_accents=strip_accents,
        special_tokens_in_strings=specials,
    )
    ours = BertTokenizer(
        VOCAB,
        do_lower_case=lowercase,
        strip_accents=strip_accents,
        split_special_tokens=not specials,
        word_rules="keras_hub",
    )
    source = random.Random(0)
    # TensorFlow ends a string at a NUL when it comes from NumPy.
    texts = [random_text(source).replace("\0", "") for _ in range(500)]
    for text in texts:
        assert ours.encode(text, add_special_tokens=False) == [int(id_) for id_ in theirs([text])[0]], ascii(
            text
        )


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("truncate", ["round_robin", "waterfall"])
def test_random_segments_are_packed_as_in_keras_hub(keras_hub, truncate) -> None:
    source = random.Random(0)
    for _ in range(300):
        count = source.randrange(1, 5)
        options = {"start_value": 2, "end_value": 3, "pad_value": 0, "truncate": truncate}
        options["sequence_length"] = source.randrange(count + 1, 20)
        options["padding_side"] = source.choice(["left", "right"])
        rows = [[[source.randrange(5, 30) for _ in range(source.randrange(1, 9))]] for _ in range(count)]
        token_ids, segment_ids = keras_hub.layers.MultiSegmentPacker(**options)(tuple(rows))
        ours = SegmentPacker(**options)(rows)
        assert ours.token_ids.tolist() == token_ids.tolist()
        assert ours.segment_ids.tolist() == segment_ids.tolist()
