from __future__ import annotations

import pytest

from bertx.errors import DataError
from bertx.keras_style.models import BertTokenizer
from tests.keras_style.small import PIECES


def test_texts_become_ids_without_special_tokens():
    tokenizer = BertTokenizer(PIECES, lowercase=True)
    assert tokenizer("The fox.") == [5, 8, 9]
    assert tokenizer(["a", "", "A B"]) == [[10], [], [10, 11]]


def test_case_and_special_tokens_are_text_by_default():
    assert BertTokenizer(PIECES)("The fox") == [1, 8]
    assert BertTokenizer(PIECES)("a [SEP]") == [10, 1, 1, 1]
    assert BertTokenizer(PIECES, special_tokens_in_strings=True)("a [SEP]") == [10, 3]


def test_folding_case_leaves_accents_unless_asked():
    pieces = [*PIECES, "é", "e", "strasse"]
    assert BertTokenizer(pieces, lowercase=True)("É straße") == [12, 14]
    assert BertTokenizer(pieces, lowercase=True, strip_accents=True)("É") == [13]


def test_ids_become_text_and_pieces():
    tokenizer = BertTokenizer(PIECES)
    assert tokenizer.detokenize([2, 5, 8, 3, 0]) == "the fox"
    assert (tokenizer.id_to_token(8), tokenizer.token_to_id("fox"), tokenizer.token_to_id("cat")) == (
        "fox",
        8,
        1,
    )
    assert (tokenizer.get_vocabulary(), tokenizer.vocabulary_size()) == (PIECES, 12)


def test_a_vocabulary_can_be_a_file(tmp_path):
    (tmp_path / "pieces.txt").write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    assert BertTokenizer(tmp_path / "pieces.txt")("fox .") == [8, 9]


def test_a_preset_has_its_tokenizer(preset):
    assert BertTokenizer.from_preset(preset)("The fox") == [5, 8]


def test_special_tokens_must_be_in_the_vocabulary():
    with pytest.raises(DataError, match=r"the vocabulary lacks \[CLS\], \[MASK\]|the vocabulary lacks"):
        BertTokenizer(["[PAD]", "[UNK]", "[SEP]"])


def test_a_piece_must_not_stand_twice():
    with pytest.raises(DataError, match="'fox' stands twice"):
        BertTokenizer([*PIECES, "fox"])
