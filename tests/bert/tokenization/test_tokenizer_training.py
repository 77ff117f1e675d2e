from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import transformers

from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import DataError

REPOSITORY = Path(__file__).parents[3]
TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "Sphinx of black quartz, judge my vow!",
    "pack my box with five dozen liquor jugs; the five boxing wizards jump quickly",
]


def test_training_puts_special_tokens_first_and_keeps_every_character() -> None:
    tokenizer = BertTokenizer.train(TEXTS, 80)
    assert list(tokenizer.get_vocab())[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert sum(tokenizer.encode_ragged(TEXTS).ids == tokenizer.unk_token_id) == 0
    assert tokenizer.all_special_ids == [0, 1, 2, 3, 4]


def test_frequent_words_become_one_piece() -> None:
    tokenizer = BertTokenizer.train(["the low Lower"] * 5, 40)
    assert tokenizer.tokenize("the lower") == ["the", "lower"]
    assert BertTokenizer.train(["the"], 40, min_frequency=2).tokenize("the") == ["t", "##h", "##e"]


def test_cased_training_keeps_case() -> None:
    tokenizer = BertTokenizer.train(["Low"] * 5, 40, do_lower_case=False)
    assert tokenizer.tokenize("Low") == ["Low"]
    assert tokenizer.tokenize("low") == ["[UNK]"]


def test_the_order_of_texts_does_not_matter() -> None:
    tokenizer = BertTokenizer.train(TEXTS, 90)
    assert tokenizer.get_vocab() == BertTokenizer.train(reversed(TEXTS), 90).get_vocab()


def test_training_gives_the_same_vocabulary_in_every_process() -> None:
    program = (
        "from bertx.bert.tokenization.tokenizer import BertTokenizer; "
        f"print(BertTokenizer.train({TEXTS}, 90).fingerprint())"
    )
    fingerprints = {subprocess.check_output([sys.executable, "-c", program], text=True) for _ in range(2)}
    assert fingerprints == {BertTokenizer.train(TEXTS, 90).fingerprint() + "\n"}


def test_text_that_utf8_cannot_hold_is_no_obstacle() -> None:
    assert BertTokenizer.train(["low \ud800low"] * 3, 40).tokenize("low") == ["low"]


def test_a_vocabulary_too_small_for_the_characters_is_refused() -> None:
    message = (
        "^vocab_size is 9, but the special tokens and single characters of the texts already take 10; "
        "expected at least 10; raise vocab_size or clean the texts$"
    )
    with pytest.raises(DataError, match=message):
        BertTokenizer.train(["abc"], 9)


def test_the_shipped_vocabulary_reads_english_as_in_transformers() -> None:
    tokenizer = BertTokenizer.from_pretrained(REPOSITORY / "fixtures" / "bert-tiny")
    text = "Whether “gripping” or not — don’t miss it: 100% £5 fun! @home #1 é"
    assert (len(tokenizer), tokenizer.model_max_length) == (8192, 128)
    assert tokenizer.unk_token_id not in tokenizer.encode(text)
    theirs = transformers.AutoTokenizer.from_pretrained(
        REPOSITORY / "fixtures" / "bert-tiny", model_type="bert"
    )
    assert theirs(text)["input_ids"] == tokenizer.encode(text)


@pytest.mark.data
@pytest.mark.slow
def test_the_shipped_vocabulary_can_be_made_again(data_folder: Path, tmp_path: Path) -> None:
    script = REPOSITORY / "fixtures" / "make_vocabulary.py"
    subprocess.check_call([sys.executable, script, data_folder / "novels.tar.xz", tmp_path])
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (REPOSITORY / "fixtures/bert-tiny" / name).read_bytes()
