from __future__ import annotations

import pickle

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from bertx.bert.tokenization import ragged_encoding
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import DataError

WORDS = "[UNK] [CLS] [SEP] [PAD] [MASK] want ##want ##ed wa un runn ##ing , low lowest"
VOCAB = {piece: id_ for id_, piece in enumerate(WORDS.split())}
# Pieces that make the choices of the normalizer visible.
ALPHABET = "aeioué中文Ωσςßſǆİiſ#[]'.!-_0٣\u0300\u00ad\u200d\ufffd\0\t\n\r \u00a0\u2028\x0b\x1c\x85"
SMALL = {
    piece: id_
    for id_, piece in enumerate(
        dict.fromkeys(
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ss", "##ss", "ae", "##io", "A", "##E"]
            + [prefix + letter for letter in "aeioué中文ωσςßſi#[].'!-_0٣" for prefix in ("", "##")]
        )
    )
}


@pytest.fixture
def tokenizer() -> BertTokenizer:
    return BertTokenizer(VOCAB)


def rows(encoded: ragged_encoding.RaggedIds) -> list[list[int]]:
    return [row.tolist() for row in np.split(encoded.ids, encoded.offsets[1:-1])]


def test_text_is_lowered_stripped_of_accents_and_cut_into_longest_pieces(tokenizer: BertTokenizer) -> None:
    assert tokenizer.tokenize("UNwant\u00e9d,running") == ["un", "##want", "##ed", ",", "runn", "##ing"]
    assert tokenizer.encode("UNwant\u00e9d,running") == [1, 9, 6, 7, 12, 10, 11, 2]


def test_a_pair_is_joined_by_sep(tokenizer: BertTokenizer) -> None:
    assert tokenizer.encode("UNwanted", "low lowest") == [1, 9, 6, 7, 2, 13, 14, 2]
    assert tokenizer.encode("UNwanted", "low", add_special_tokens=False) == [9, 6, 7, 13]


def test_a_word_of_over_100_characters_is_unknown(tokenizer: BertTokenizer) -> None:
    assert tokenizer.tokenize("low" * 40) == ["[UNK]"]
    assert BertTokenizer(VOCAB, max_input_chars_per_word=2).tokenize("low") == ["[UNK]"]


def test_special_tokens_in_the_text_get_their_ids(tokenizer: BertTokenizer) -> None:
    assert tokenizer.encode("low[MASK] [CLS]", add_special_tokens=False) == [13, 4, 1]
    assert rows(tokenizer.encode_ragged(["low[MASK] [CLS]", "[cls]"])) == [[13, 4, 1], [0, 0, 0]]


def test_lone_surrogates_are_dropped_and_pairs_joined(tokenizer: BertTokenizer) -> None:
    assert tokenizer.encode("\ud800 lo\udc80w") == [1, 13, 2]
    assert tokenizer.encode("low", "\ud800low") == [1, 13, 2, 13, 2]
    assert rows(tokenizer.encode_ragged(["low\ud800", "want"])) == [[13], [5]]
    assert ragged_encoding.well_formed("\ud83d\ude00\udc80") == "\U0001f600\ufffd"


def test_encode_ragged_puts_texts_end_to_end(tokenizer: BertTokenizer) -> None:
    ids, offsets = tokenizer.encode_ragged(["low low", "", "unwanted\nlow"])
    assert (ids.dtype, offsets.dtype) == (np.int32, np.int64)
    assert ids.tolist() == [13, 13, 9, 6, 7, 13]
    assert offsets.tolist() == [0, 2, 2, 6]


def test_encode_ragged_of_nothing_is_empty(tokenizer: BertTokenizer) -> None:
    ids, offsets = tokenizer.encode_ragged([])
    assert (ids.tolist(), offsets.tolist()) == ([], [0])


def test_blocks_do_not_change_the_ids(tokenizer: BertTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["low low", "", "unwanted", "lowest , low", "", ""]
    expected = rows(tokenizer.encode_ragged(texts))
    for characters in (1, 7, 10):
        monkeypatch.setattr(ragged_encoding, "BLOCK_CHARACTERS", characters)
        assert rows(tokenizer.encode_ragged(texts)) == expected


def test_an_added_token_may_hold_a_space() -> None:
    tokenizer = BertTokenizer(VOCAB, added_tokens=[AddedToken("low want", special=True, normalized=False)])
    assert tokenizer.encode("low want", add_special_tokens=False) == [15]
    assert rows(tokenizer.encode_ragged(["low want low", "want"])) == [[15, 13], [5]]


def test_ids_and_sizes(tokenizer: BertTokenizer) -> None:
    ids = (tokenizer.unk_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
    assert (*ids, tokenizer.mask_token_id) == (0, 1, 2, 3, 4)
    assert tokenizer.all_special_ids == [0, 1, 2, 3, 4]
    assert (len(tokenizer), tokenizer.vocab_size) == (15, 15)
    assert list(tokenizer.get_vocab().items())[:2] == [("[UNK]", 0), ("[CLS]", 1)]


def test_is_continuation_marks_pieces_inside_words(tokenizer: BertTokenizer) -> None:
    assert np.flatnonzero(tokenizer.is_continuation).tolist() == [6, 7, 11]


def test_tokens_and_ids_convert_both_ways(tokenizer: BertTokenizer) -> None:
    assert tokenizer.convert_tokens_to_ids(["low", "nothing"]) == [13, 0]
    assert tokenizer.convert_tokens_to_ids("##ed") == 7
    assert tokenizer.convert_ids_to_tokens([13, 7]) == ["low", "##ed"]
    assert tokenizer.convert_ids_to_tokens(np.int32(4)) == "[MASK]"


@pytest.mark.parametrize("id_", [15, -1])
def test_an_id_out_of_range_is_refused(tokenizer: BertTokenizer, id_: int) -> None:
    with pytest.raises(ValueError, match=f"^no token has the id {id_}; expected 0 to 14$"):
        tokenizer.convert_ids_to_tokens(id_)


def test_decode_joins_pieces_and_cleans_up(tokenizer: BertTokenizer) -> None:
    ids = tokenizer.encode("unwanted , running")
    assert tokenizer.decode(ids) == "[CLS] unwanted, running [SEP]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "unwanted, running"


def test_clean_up_closes_gaps_unless_told_not_to() -> None:
    vocab = {piece: id_ for id_, piece in enumerate([*VOCAB, "don", "t", "it", "s", "'", "."])}
    tokenizer = BertTokenizer(vocab)
    ids = tokenizer.encode("don ' t . it 's", add_special_tokens=False)
    assert tokenizer.decode(ids) == "don't. it's"
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == "don ' t. it ' s"
    assert BertTokenizer(vocab, clean_up_tokenization_spaces=False).decode(ids) == "don ' t. it ' s"


def test_every_setting_reaches_the_rust_tokenizer() -> None:
    assert BertTokenizer(SMALL, do_lower_case=False).tokenize("Aé") == ["A", "##é"]
    assert BertTokenizer(SMALL, strip_accents=False).tokenize("aé") == ["a", "##é"]
    assert BertTokenizer(SMALL, tokenize_chinese_chars=False).tokenize("中文") == ["中", "##文"]
    assert BertTokenizer(SMALL, clean_text=False).tokenize("a\0") == ["[UNK]"]
    assert BertTokenizer({**VOCAB, "@w": 15}, wordpieces_prefix="@").tokenize("loww") == ["low", "@w"]


def test_special_tokens_may_have_other_names() -> None:
    names = ["<unk>", "<s>", "</s>", "<pad>", "<mask>", "a"]
    vocab = {name: id_ for id_, name in enumerate(names)}
    unk, cls, sep, pad, mask, _ = names
    tokenizer = BertTokenizer(
        vocab, unk_token=unk, cls_token=cls, sep_token=sep, pad_token=pad, mask_token=mask
    )
    assert tokenizer.encode("a <mask> b", "a") == [1, 5, 4, 0, 2, 5, 2]


def test_fingerprint_changes_with_what_changes_ids() -> None:
    variants = [BertTokenizer(VOCAB), BertTokenizer(VOCAB, do_lower_case=False)]
    variants += [BertTokenizer(VOCAB, strip_accents=False), BertTokenizer(VOCAB, pad_token="[MASK]")]
    variants += [BertTokenizer({**VOCAB, "more": 15}), BertTokenizer(VOCAB, max_input_chars_per_word=9)]
    variants += [BertTokenizer(VOCAB, added_tokens=[AddedToken("<x>")])]
    assert len({tokenizer.fingerprint() for tokenizer in variants}) == 7
    reordered = BertTokenizer(dict(reversed(VOCAB.items())), model_max_length=7)
    assert reordered.fingerprint() == variants[0].fingerprint()


def test_a_tokenizer_can_be_pickled(tokenizer: BertTokenizer) -> None:
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.encode("unwanted") == [1, 9, 6, 7, 2]
    assert copy.fingerprint() == tokenizer.fingerprint()


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ({}, "^the vocabulary is empty; expected one piece per id$"),
        (
            {**VOCAB, "far": 16},
            "^no piece of the vocabulary has the id 15; expected each id from 0 to 15 once, for 16 pieces$",
        ),
        (
            {"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "a": 3},
            r"^the vocabulary lacks \[PAD\], \[MASK\]; expected all of \[UNK\], \[SEP\], \[PAD\], \[CLS\], "
            r"\[MASK\]; add what is missing, or name its own in tokenizer_config.json, "
            'e.g. "mask_token": "<mask>"$',
        ),
    ],
)
def test_a_wrong_vocabulary_is_refused(vocab: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        BertTokenizer(vocab)


TEXTS = st.text(st.one_of(st.sampled_from(ALPHABET + "[CLS]"), st.characters(exclude_categories=["Cs"])))
TEXTS = st.one_of(TEXTS, st.lists(st.sampled_from(["[MASK]", "[SEP]", "aé", " ", "中", "σς "])).map("".join))


@settings(deadline=None)
@given(text=TEXTS, pair=st.none() | TEXTS, lower=st.booleans(), strip=st.sampled_from([None, True, False]))
def test_any_text_encodes_as_in_transformers(
    text: str, pair: str | None, lower: bool, strip: bool | None
) -> None:
    ours = BertTokenizer(SMALL, do_lower_case=lower, strip_accents=strip)
    theirs = transformers.BertTokenizer(vocab=SMALL, do_lower_case=lower, strip_accents=strip)
    # As lists: transformers takes a single empty second text for none, but not in a list.
    assert [ours.encode(text, pair)] == theirs([text], None if pair is None else [pair])["input_ids"]
    assert ours.tokenize(text) == theirs.tokenize(text)
    ids = ours.encode(text)
    assert ours.decode(ids) == theirs.decode(ids, clean_up_tokenization_spaces=True)
    assert ours.decode(ids, clean_up_tokenization_spaces=False) == theirs.decode(ids)


@settings(deadline=None)
@given(texts=st.lists(TEXTS), lower=st.booleans(), clean=st.booleans(), chinese=st.booleans())
def test_ragged_encoding_equals_one_text_at_a_time(
    texts: list[str], lower: bool, clean: bool, chinese: bool
) -> None:
    added = [AddedToken("<a>", special=True, normalized=False, lstrip=True, single_word=True)]
    tokenizer = BertTokenizer(
        SMALL, do_lower_case=lower, clean_text=clean, tokenize_chinese_chars=chinese, added_tokens=added
    )
    expected = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    assert tokenizer.encode_ragged(texts).ids.tolist() == [id_ for row in expected for id_ in row]
    assert np.diff(tokenizer.encode_ragged(texts).offsets).tolist() == [len(row) for row in expected]
