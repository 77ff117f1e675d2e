"""`do_basic_tokenize=False` and `never_split`, against the Python class that still has them."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from bertx.bert.tokenization.tokenizer import BertTokenizer
from tests.bert.tokenization.tokenizer_texts import VOCAB, random_text

NEVER = ["Foo", "foo", "foo.bar", "Foo.Bar", "ÀB", "A\u0300B", "ss", "ß", "unknown", "[MASK]", "."]
JIM = "[CLS] Who was Jim Henson ? [SEP] Jim Henson was a puppeteer [SEP]"
JIM_PIECES = "[CLS] Who was Jim Hen ##son ? [SEP] Jim Hen ##son was a puppet ##eer [SEP]"


@pytest.fixture
def vocab_file(tmp_path: Path) -> str:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCAB) + "\n", encoding="utf-8", newline="\n")
    return str(path)


def with_pieces(*pieces: str) -> dict[str, int]:
    return {piece: id_ for id_, piece in enumerate(dict.fromkeys(["[UNK]", "[PAD]", "[MASK]", *pieces]))}


def test_without_basic_tokenization_words_are_cut_at_white_space_only() -> None:
    tokenizer = BertTokenizer(with_pieces(*JIM_PIECES.split()), do_basic_tokenize=False)
    assert tokenizer.tokenize(JIM) == JIM_PIECES.split()
    vocab = with_pieces("[CLS]", "[SEP]", "Hello", "##,", "World", "##!")
    plain = BertTokenizer(vocab, do_basic_tokenize=False)
    assert plain.tokenize("Hello,\u2028World! hello") == ["Hello", "##,", "World", "##!", "[UNK]"]


def test_words_that_are_never_split_become_tokens_as_they_stand() -> None:
    vocab = with_pieces("[CLS]", "[SEP]", "foo", "bar", ".", "Foo.Bar")
    tokenizer = BertTokenizer(vocab, never_split=["Foo.Bar", "Bar."])
    assert tokenizer.tokenize("Foo.Bar foo.bar Bar.") == ["Foo.Bar", "foo", ".", "bar", "Bar."]
    assert tokenizer.encode("Foo.Bar Bar.", add_special_tokens=False) == [8, 0]
    encoded = tokenizer("foo Bar. foo", return_offsets_mapping=True)
    assert encoded["offset_mapping"] == [(0, 0), (0, 3), (4, 8), (9, 12), (0, 0)]
    assert encoded.word_ids() == [None, 0, 1, 2, None]


def test_offsets_follow_letters_that_change() -> None:
    tokenizer = BertTokenizer(VOCAB, never_split=["x"])
    text = "A\u0300\0é (İi) ΩΣ e\u0301\u0302"
    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    expected = [("A\u0300\0é", "ae"), ("(", "[UNK]"), ("İ", "i"), ("i", "##i"), (")", "[UNK]")]
    expected += [("ΩΣ", "ω"), ("ΩΣ", "##ς"), ("e\u0301\u0302", "e")]
    found = [text[start:end] for start, end in encoded["offset_mapping"]]
    assert list(zip(found, encoded.tokens(), strict=True)) == expected


@pytest.mark.parametrize("seed", range(40))
def test_random_texts_encode_as_in_the_legacy_class(vocab_file: str, seed: int) -> None:
    """Each seed compares 25 texts or pairs."""
    source = random.Random(seed)
    options = {
        "do_lower_case": source.random() < 0.5,
        "do_basic_tokenize": seed % 3 > 0,
        "never_split": source.sample(NEVER, source.randrange(1, 6)),
        "strip_accents": source.choice([None, True, False]),
        "tokenize_chinese_chars": source.random() < 0.7,
        "clean_up_tokenization_spaces": source.random() < 0.5,
    }
    ours, theirs = BertTokenizer(VOCAB, **options), BertTokenizerLegacy(vocab_file, **options)
    for _ in range(25):
        text, pair = random_text(source), random_text(source) if source.random() < 0.5 else None
        cut = {"max_length": source.choice([5, 6, 7, 8, 9]), "truncation": "longest_first"}
        ids = theirs.encode(text, pair)
        assert ours.tokenize(text) == theirs.tokenize(text)
        assert ours.encode(text, pair) == ids
        assert ours.encode(text, pair, **cut) == theirs.encode(text, pair, **cut)
        assert ours.decode(ids) == theirs.decode(ids)
        assert ours.encode_ragged([text]).ids.tolist() == theirs.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("options", [{"do_basic_tokenize": False}, {"never_split": NEVER}])
def test_own_rules_can_be_pickled(options) -> None:
    tokenizer = BertTokenizer(VOCAB, padding_side="left", **options)
    tokenizer.add_tokens(["<x>"])
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.encode("Foo.Bar foo <x>") == tokenizer.encode("Foo.Bar foo <x>")
    assert (copy.fingerprint(), copy.padding_side) == (tokenizer.fingerprint(), "left")


def test_the_fingerprint_knows_the_rules() -> None:
    variants = [{}, {"do_basic_tokenize": False}, {"never_split": ["Foo"]}, {"never_split": ["Foo", "foo"]}]
    variants += [{"word_rules": "keras_hub"}, {"split_special_tokens": True}]
    prints = {BertTokenizer(VOCAB, **options).fingerprint() for options in variants}
    assert len(prints) == len(variants)
    assert BertTokenizer(VOCAB, never_split=[]).fingerprint() == BertTokenizer(VOCAB).fingerprint()


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("never_split", "Foo", "a list of words"),
        ("padding_side", "up", "'left' or 'right'"),
        ("word_rules", "google", "'bert' or 'keras_hub'"),
    ],
)
def test_an_option_of_no_such_value_is_refused(option, value, expected) -> None:
    with pytest.raises(ValueError, match=f"^{option} is '{value}'; expected {expected}$"):
        BertTokenizer(VOCAB, **{option: value})
