"""Model inputs from ids, and padding, against the Python class of transformers that has these methods."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import AddedToken
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from bertx.bert.tokenization.tokenizer import BertTokenizer

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] low high ##er"
VOCAB = {piece: id_ for id_, piece in enumerate(WORDS.split())}


@pytest.fixture
def tokenizer() -> BertTokenizer:
    return BertTokenizer(VOCAB)


@pytest.fixture
def theirs(tmp_path: Path) -> BertTokenizerLegacy:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    return BertTokenizerLegacy(str(path))


def test_special_tokens_go_around_ids(tokenizer: BertTokenizer) -> None:
    assert tokenizer.build_inputs_with_special_tokens([5, 6]) == [2, 5, 6, 3]
    assert tokenizer.build_inputs_with_special_tokens([5, 6], [7]) == [2, 5, 6, 3, 7, 3]
    assert tokenizer.get_special_tokens_mask([5, 6], [7]) == [1, 0, 0, 1, 0, 1]
    assert tokenizer.get_special_tokens_mask([5]) == [1, 0, 1]
    assert tokenizer.get_special_tokens_mask([2, 5, 3], already_has_special_tokens=True) == [1, 0, 1]
    assert tokenizer.create_token_type_ids_from_sequences([5, 6], [7]) == [0, 0, 0, 0, 1, 1]
    assert tokenizer.create_token_type_ids_from_sequences([5, 6]) == [0, 0, 0, 0]
    assert (tokenizer.num_special_tokens_to_add(), tokenizer.num_special_tokens_to_add(pair=True)) == (2, 3)


def test_a_whole_input_has_no_second_text(tokenizer: BertTokenizer) -> None:
    with pytest.raises(ValueError, match=r"^token_ids_1 was given beside a whole input; expected all ids in"):
        tokenizer.get_special_tokens_mask([2, 5, 3], [7], already_has_special_tokens=True)


@pytest.mark.parametrize("seed", range(100))
def test_ids_become_inputs_as_in_the_legacy_class(tokenizer, theirs, seed: int) -> None:
    source = random.Random(seed)
    tokenizer.truncation_side = theirs.truncation_side = source.choice(["left", "right"])
    first = [source.randrange(5, 8) for _ in range(source.randrange(2, 9))]
    second = [source.randrange(5, 8) for _ in range(source.randrange(2, 9))] if seed % 2 else None
    options = {
        "add_special_tokens": source.random() < 0.7,
        "padding": source.choice([False, "max_length"]),
        "truncation": source.choice([False, "longest_first"]),
        "max_length": source.randrange(5, 14),
        "padding_side": source.choice([None, "left"]),
        "return_special_tokens_mask": source.random() < 0.5,
    }
    assert tokenizer.prepare_for_model(first, second, **options) == dict(
        theirs.prepare_for_model(first, second, return_token_type_ids=True, **options)
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_cut_off_is_returned(tokenizer, theirs, side) -> None:
    tokenizer.truncation_side = theirs.truncation_side = side
    options = {"truncation": "only_first", "max_length": 6, "stride": 1, "return_overflowing_tokens": True}
    ours = tokenizer.prepare_for_model([5, 6, 7, 5, 6], [7, 7], **options)
    expected = theirs.prepare_for_model([5, 6, 7, 5, 6], [7, 7], **options)
    assert ours["overflowing_tokens"] == expected["overflowing_tokens"]
    assert ours["input_ids"] == expected["input_ids"]


def test_what_is_cut_off_two_texts_is_not(tokenizer: BertTokenizer) -> None:
    with pytest.raises(ValueError, match=r"^what was cut off two texts cannot be returned as one; expected"):
        tokenizer.prepare_for_model([5] * 9, [6] * 9, max_length=7, return_overflowing_tokens=True)


def test_padding_fills_what_belongs_to_the_ids(tokenizer: BertTokenizer) -> None:
    rows = [
        {"input_ids": [2, 5, 3], "token_type_ids": [0, 0, 0], "special_tokens_mask": [1, 0, 1], "label": 1},
        {"input_ids": [2, 3], "token_type_ids": [0, 1], "special_tokens_mask": [1, 1], "label": 0},
    ]
    assert tokenizer.pad(rows, pad_to_multiple_of=4) == {
        "input_ids": [[2, 5, 3, 0], [2, 3, 0, 0]],
        "token_type_ids": [[0, 0, 0, 0], [0, 1, 0, 0]],
        "special_tokens_mask": [[1, 0, 1, 1], [1, 1, 1, 1]],
        "label": [1, 0],
        "attention_mask": [[1, 1, 1, 0], [1, 1, 0, 0]],
    }


def test_padding_returns_what_it_was_given(tokenizer: BertTokenizer) -> None:
    assert tokenizer.pad({"input_ids": [2, 3]}, "max_length", 3)["input_ids"] == [2, 3, 0]
    rows = [{"input_ids": torch.tensor([2, 5, 3])}, {"input_ids": torch.tensor([2, 3])}]
    assert torch.equal(tokenizer.pad(rows)["input_ids"], torch.tensor([[2, 5, 3], [2, 3, 0]]))
    array = tokenizer.pad({"input_ids": np.array([[2, 3]])}, "max_length", 3, padding_side="left")
    assert array["input_ids"].tolist() == [[0, 2, 3]]
    assert array["attention_mask"].tolist() == [[0, 1, 1]]
    assert tokenizer.pad({"input_ids": [[2], [2, 3]]}, return_tensors="pt")["input_ids"].shape == (2, 2)


def test_padding_needs_ids(tokenizer: BertTokenizer) -> None:
    with pytest.raises(ValueError, match=r"^there are no input_ids; expected them among label$"):
        tokenizer.pad({"label": [1]})


def test_added_tokens_get_the_next_ids(tokenizer: BertTokenizer) -> None:
    assert tokenizer.add_tokens(["lowest", "low"]) == 1
    assert tokenizer.add_tokens(AddedToken("<a>", lstrip=True), special_tokens=True) == 1
    assert (len(tokenizer), tokenizer.get_added_vocab()["<a>"]) == (10, 9)
    assert tokenizer.encode("LOWEST  <a>", add_special_tokens=False) == [8, 9]
    assert tokenizer.all_special_ids == [0, 1, 2, 3, 4, 9]
    assert tokenizer.decode([5, 9], skip_special_tokens=True) == "low"
    assert tokenizer.convert_ids_to_tokens([5, 9, 2], skip_special_tokens=True) == ["low"]


def test_roles_can_be_given_to_other_tokens(tokenizer: BertTokenizer) -> None:
    added = tokenizer.add_special_tokens(
        {"cls_token": "<s>", "unk_token": "low", "additional_special_tokens": ["<a>", "<b>"]}
    )
    assert (added, tokenizer.cls_token_id, tokenizer.cls_token) == (3, 8, "<s>")
    assert tokenizer.encode("higher nothing <a>") == [8, 6, 7, 5, 9, 3]
    assert tokenizer.special_tokens_map["cls_token"] == "<s>"
    assert tokenizer.all_special_tokens == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "low",
        "<s>",
        "<a>",
        "<b>",
    ]
    with pytest.raises(ValueError, match=r"^there is no role 'end_token'; expected unk_token, sep_token, "):
        tokenizer.add_special_tokens({"end_token": "<e>"})


def test_changes_are_saved(tokenizer: BertTokenizer, tmp_path: Path) -> None:
    tokenizer.add_special_tokens({"cls_token": "<s>"})
    tokenizer.model_max_length, tokenizer.padding_side = 7, "left"
    tokenizer.save_pretrained(tmp_path)
    loaded = BertTokenizer.from_pretrained(tmp_path)
    assert loaded.encode("low") == tokenizer.encode("low") == [8, 5, 3]
    assert (loaded.model_max_length, loaded.padding_side) == (7, "left")
    assert loaded.fingerprint() == tokenizer.fingerprint()


def test_pieces_become_text(tokenizer: BertTokenizer) -> None:
    assert tokenizer.convert_tokens_to_string(["low", "##er", "high"]) == "lower high"
    assert tokenizer.batch_decode([[5, 7], torch.tensor([6])]) == ["lower", "high"]
    assert (tokenizer.decode(5), tokenizer.decode(np.array([5, 7]))) == ("low", "lower")
