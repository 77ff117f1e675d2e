import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bertx.bert.tokenization import ragged_encoding
from bertx.bert.tokenization.ragged_encoding import RaggedEncoder
from bertx.bert.tokenization.tokenizer import BertTokenizer

WORDS = "[UNK] [CLS] [SEP] [PAD] [MASK] want ##want ##ed wa un runn ##ing , low lowest"
VOCAB = {piece: id_ for id_, piece in enumerate(WORDS.split())}


@pytest.fixture
def tokenizer():
    return BertTokenizer(VOCAB)


@pytest.fixture
def cut(monkeypatch):
    """Lists what goes through the Rust library, call by call."""
    calls = []
    plain = RaggedEncoder._encode_plain

    def encode(self, texts):
        calls.append(list(texts))
        return plain(self, texts)

    monkeypatch.setattr(RaggedEncoder, "_encode_plain", encode)
    return calls


def some_texts(seed):
    source = random.Random(seed)
    words = ["low", "lowest", "unwanted", "running,", "want\n", "", "[MASK]", "é"]
    return [" ".join(source.choices(words, k=source.randint(0, 9))) for _ in range(200)]


def rows(found):
    return [part.tolist() for part in np.split(found.ids, found.offsets[1:-1])]


def test_each_stretch_between_spaces_is_cut_once(tokenizer, cut):
    for text in ("low want low", "want  lowest", "low"):
        tokenizer.encode_ragged([text])
    assert cut == [["low", "want"], ["", "lowest"]]


@pytest.mark.parametrize("remembered", [0, 1, 3, 100_000])
def test_what_is_remembered_does_not_change_the_ids(monkeypatch, remembered):
    texts = some_texts(0)
    expected = [BertTokenizer(VOCAB).encode(text, add_special_tokens=False) for text in texts]
    monkeypatch.setattr(ragged_encoding, "REMEMBERED_STRETCHES", remembered)
    tokenizer = BertTokenizer(VOCAB)
    found = [row for start in range(0, 200, 7) for row in rows(tokenizer.encode_ragged(texts[start:][:7]))]
    assert found == expected


def test_a_token_that_is_added_later_is_found(tokenizer):
    assert rows(tokenizer.encode_ragged(["low <x> want"])) == [[13, 0, 0, 0, 5]]
    tokenizer.add_tokens("<x>", special_tokens=True)
    assert rows(tokenizer.encode_ragged(["low <x> want"])) == [[13, 15, 5]]


def test_a_token_for_the_unknown_that_is_given_later_is_used(tokenizer):
    assert rows(tokenizer.encode_ragged(["zebra"])) == [[0]]
    tokenizer.add_special_tokens({"unk_token": "[MASK]"})
    assert rows(tokenizer.encode_ragged(["zebra"])) == [[4]]


def test_an_error_leaves_nothing_half_known(tokenizer, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(RaggedEncoder, "_encode_plain", lambda self, texts: 1 / 0)
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            tokenizer.encode_ragged(["low want"])
    assert rows(tokenizer.encode_ragged(["want", "lowest low"])) == [[5], [14, 13]]


def test_threads_may_share_a_tokenizer(tokenizer):
    jobs = [some_texts(seed) for seed in range(20)]
    expected = [rows(BertTokenizer(VOCAB).encode_ragged(texts)) for texts in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert [rows(found) for found in pool.map(tokenizer.encode_ragged, jobs)] == expected
