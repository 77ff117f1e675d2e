from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
import transformers
from tokenizers import AddedToken
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import CheckpointError, DataError

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] low Low ##er é e , ##é"
VOCAB = {piece: id_ for id_, piece in enumerate(WORDS.split())}
TEXT = "Low lower, LOW é éé <X> fooBAR foobar [MASK] [E1]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `vocab.txt` alone."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    return folder


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def read_json(path: Path) -> dict[str, object]:
    value = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


SETTINGS = [(True, None, True), (False, None, False), (True, False, True), (False, True, True)]


@pytest.mark.parametrize(("lower", "strip", "chinese"), SETTINGS)
@pytest.mark.parametrize("removed", ["", "vocab.txt", "tokenizer.json"])
def test_what_is_saved_loads_again(
    tmp_path: Path, lower: bool, strip: bool | None, chinese: bool, removed: str
) -> None:
    added = [AddedToken("<X>", special=True, normalized=False), AddedToken("fooBAR"), AddedToken("[E1]")]
    saved = BertTokenizer(
        VOCAB, do_lower_case=lower, strip_accents=strip, tokenize_chinese_chars=chinese, added_tokens=added
    )
    saved.save_pretrained(tmp_path)
    (tmp_path / (removed or "none")).unlink(missing_ok=True)
    loaded = BertTokenizer.from_pretrained(tmp_path)
    assert loaded.fingerprint() == saved.fingerprint()
    assert loaded.encode(TEXT) == saved.encode(TEXT)


@pytest.mark.parametrize(("lower", "strip", "chinese"), SETTINGS)
def test_transformers_reads_what_is_saved(
    tmp_path: Path, lower: bool, strip: bool | None, chinese: bool
) -> None:
    added = [AddedToken("<X>", special=True, normalized=False), AddedToken("fooBAR"), AddedToken("[E1]")]
    ours = BertTokenizer(
        VOCAB, do_lower_case=lower, strip_accents=strip, tokenize_chinese_chars=chinese, added_tokens=added
    )
    ours.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path, model_type="bert")
    assert type(theirs).__name__ == "BertTokenizer"
    assert theirs(TEXT, "中低")["input_ids"] == ours.encode(TEXT, "中低")
    assert theirs.get_vocab() == ours.get_vocab()
    assert sorted(theirs.all_special_ids) == ours.all_special_ids


@pytest.mark.parametrize(("lower", "strip", "chinese"), SETTINGS)
def test_what_transformers_saved_is_read(
    tmp_path: Path, lower: bool, strip: bool | None, chinese: bool
) -> None:
    theirs = transformers.BertTokenizer(
        vocab=VOCAB, do_lower_case=lower, strip_accents=strip, tokenize_chinese_chars=chinese
    )
    theirs.add_tokens(["fooBAR", AddedToken("[E1]", single_word=True)])
    theirs.add_special_tokens({"extra_special_tokens": ["<X>"]})
    theirs.save_pretrained(tmp_path)
    ours = BertTokenizer.from_pretrained(tmp_path)
    assert ours.encode(TEXT, "中低") == theirs(TEXT, "中低")["input_ids"]
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.all_special_ids == sorted(theirs.all_special_ids)
    assert ours.model_max_length is None


STANDARD_FILES = ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_saved_files_are_those_that_others_read(tmp_path: Path) -> None:
    BertTokenizer(VOCAB, model_max_length=128).save_pretrained(tmp_path / "new" / "folder")
    assert names_in(tmp_path / "new" / "folder") == STANDARD_FILES
    assert (tmp_path / "new/folder/vocab.txt").read_text(encoding="utf-8").split() == WORDS.split()
    assert BertTokenizer.from_pretrained(tmp_path / "new" / "folder").model_max_length == 128


def test_added_tokens_and_special_tokens_get_files_of_their_own(tmp_path: Path) -> None:
    added = [AddedToken("<X>", special=True, normalized=False), AddedToken("fooBAR")]
    BertTokenizer(VOCAB, mask_token=",", added_tokens=added).save_pretrained(tmp_path)
    assert names_in(tmp_path) == ["added_tokens.json", *STANDARD_FILES]
    assert read_json(tmp_path / "added_tokens.json") == {"<X>": 12, "fooBAR": 13}
    assert read_json(tmp_path / "special_tokens_map.json") == {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": ",",
        "additional_special_tokens": ["<X>"],
    }


OWN_RULES = [
    {"do_basic_tokenize": False},
    {"never_split": ["fooBAR", "LOW"]},
    {"word_rules": "keras_hub", "split_special_tokens": True},
]


@pytest.mark.parametrize("options", OWN_RULES)
def test_rules_that_tokenizer_json_cannot_express_are_saved_without_it(tmp_path: Path, options) -> None:
    BertTokenizer(VOCAB, added_tokens=[AddedToken("old")]).save_pretrained(tmp_path)
    saved = BertTokenizer(VOCAB, padding_side="left", truncation_side="left", **options)
    saved.save_pretrained(tmp_path)
    loaded = BertTokenizer.from_pretrained(tmp_path)
    assert names_in(tmp_path) == ["special_tokens_map.json", "tokenizer_config.json", "vocab.txt"]
    assert (loaded.fingerprint(), loaded.encode(TEXT)) == (saved.fingerprint(), saved.encode(TEXT))
    assert (loaded.padding_side, loaded.truncation_side) == ("left", "left")


@pytest.mark.parametrize("options", OWN_RULES[:2])
def test_the_legacy_class_reads_what_is_saved(tmp_path: Path, options) -> None:
    ours = BertTokenizer(VOCAB, do_lower_case=False, added_tokens=[AddedToken("[E1]")], **options)
    ours.save_pretrained(tmp_path)
    theirs = BertTokenizerLegacy.from_pretrained(tmp_path)
    assert theirs.encode(TEXT, "Low") == ours.encode(TEXT, "Low")
    assert theirs.tokenize(TEXT) == ours.tokenize(TEXT)


def test_what_the_legacy_class_saved_is_read(folder: Path, tmp_path: Path) -> None:
    theirs = BertTokenizerLegacy(str(folder / "vocab.txt"), do_lower_case=False, never_split=["fooBAR", "é,"])
    theirs.add_tokens(["[E1]"])
    theirs.save_pretrained(tmp_path / "saved")
    ours = BertTokenizer.from_pretrained(tmp_path / "saved")
    assert ours.encode(TEXT, "Low") == theirs.encode(TEXT, "Low")
    assert ours.get_vocab() == theirs.get_vocab()


def test_arguments_override_the_files(folder: Path) -> None:
    write_json(
        folder / "tokenizer_config.json", {"max_len": 64, "never_split": ["LOW"], "strip_accents": False}
    )
    read = BertTokenizer.from_pretrained(folder)
    assert (read.model_max_length, read.tokenize("LOW é")) == (64, ["LOW", "é"])
    ours = BertTokenizer.from_pretrained(
        folder, never_split=[], strip_accents=True, model_max_length=32, do_basic_tokenize=True
    )
    assert (ours.model_max_length, ours.tokenize("LOW é")) == (32, ["low", "e"])


def test_special_tokens_keep_the_settings_of_older_folders(folder: Path) -> None:
    mask = {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
    write_json(folder / "special_tokens_map.json", {"mask_token": mask})
    theirs = transformers.BertTokenizer.from_pretrained(folder)
    ours = BertTokenizer.from_pretrained(folder)
    offsets = [(0, 0), (0, 3), (3, 10), (11, 14), (0, 0)]
    assert ours("low [MASK] low", return_offsets_mapping=True)["offset_mapping"] == offsets
    assert theirs("low [MASK] low")["input_ids"] == ours.encode("low [MASK] low")


def test_a_vocabulary_file_of_any_name_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "small.txt"
    path.write_bytes("\ufeff".encode() + "\r\n".join(VOCAB).encode() + b"\r\n\r\n")
    assert BertTokenizer.from_pretrained(str(path)).get_vocab() == VOCAB


def test_settings_come_from_tokenizer_config(folder: Path) -> None:
    write_json(
        folder / "tokenizer_config.json",
        {"do_lower_case": False, "model_max_length": 64, "mask_token": {"content": ","}, "pad_token": None},
    )
    tokenizer = BertTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("Lower") == ["Low", "##er"]
    assert (tokenizer.model_max_length, tokenizer.mask_token_id, tokenizer.pad_token_id) == (64, 10, 0)
    assert BertTokenizer.from_pretrained(folder, do_lower_case=True).tokenize("Lower") == ["low", "##er"]


def test_tokenizer_config_wins_over_tokenizer_json(tmp_path: Path) -> None:
    BertTokenizer(VOCAB, do_lower_case=False).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    assert BertTokenizer.from_pretrained(tmp_path).do_lower_case is False
    write_json(tmp_path / "tokenizer_config.json", {"do_lower_case": True})
    assert BertTokenizer.from_pretrained(tmp_path).do_lower_case is True


def test_added_tokens_of_older_folders_are_read(folder: Path) -> None:
    write_json(folder / "added_tokens.json", {"two": 13, "one": 12})
    write_json(
        folder / "special_tokens_map.json",
        {"mask_token": "[MASK]", "additional_special_tokens": ["<X>", ","]},
    )
    tokenizer = BertTokenizer.from_pretrained(folder)
    assert tokenizer.encode("one two <X>,<x>", add_special_tokens=False) == [12, 13, 14, 10, 1, 1, 1]
    assert tokenizer.all_special_ids == [0, 1, 2, 3, 4, 10, 14]


@pytest.mark.parametrize(
    "name", ["bert-base-cased", "models--x--bert-base-cased/snapshots/1", "bert-cased-tiny"]
)
def test_a_name_that_says_cased_keeps_case_with_a_warning(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(VOCAB), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert BertTokenizer.from_pretrained(folder).do_lower_case is False
    expected = f"{folder}: no file says do_lower_case; taken as false, since the name says cased"
    assert caplog.messages == [expected]


def test_other_names_are_lower_cased(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    uncased = folder.rename(folder.parent / "bert-base-uncased")
    assert BertTokenizer.from_pretrained(uncased).do_lower_case is True
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{path}: the vocabulary is empty; expected one piece per line"),
        (b"a\n\nb\n", "{path}:2: the line is empty; expected one piece per line"),
        (
            b"a\nb\na\n",
            "{path}:3: the piece 'a' already stands on line 1; expected every piece once; "
            "rename one of the two, so that the ids after it stay",
        ),
        (
            b"a\nb\n",
            "{path}: the vocabulary lacks [UNK], [SEP], [PAD], [CLS], [MASK]; expected all of [UNK], [SEP], "
            "[PAD], [CLS], [MASK]; add what is missing, or name its own in tokenizer_config.json, "
            'e.g. "mask_token": "<mask>"',
        ),
    ],
)
def test_a_broken_vocabulary_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(message.format(path=path))}$"):
        BertTokenizer.from_pretrained(path)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"a\n\xff\n")
    message = (
        f"{path}: byte 2 is not UTF-8; expected one piece per line in UTF-8; "
        "convert the file, or check that it is a vocabulary"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        BertTokenizer.from_pretrained(path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    message = (
        f"{tmp_path}/x: there is no such folder or file; expected a folder with vocab.txt or "
        "tokenizer.json, or a vocabulary file"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        BertTokenizer.from_pretrained(tmp_path / "x")


def test_a_folder_without_a_vocabulary_is_refused(tmp_path: Path) -> None:
    message = (
        f"{tmp_path}: has neither vocab.txt nor tokenizer.json; expected one of them; "
        "copy the tokenizer's files there, or give another folder"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        BertTokenizer.from_pretrained(tmp_path)


def test_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    BertTokenizer(VOCAB).save_pretrained(tmp_path)
    edited = (tmp_path / "vocab.txt").read_text(encoding="utf-8").replace("##er", "mine")
    (tmp_path / "vocab.txt").write_text(edited, encoding="utf-8")
    message = (
        f"{tmp_path}: the id of '##er' is None in vocab.txt and 7 in tokenizer.json; expected the same "
        "pieces in both; delete the file that is out of date"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        BertTokenizer.from_pretrained(tmp_path)


def test_the_tokenizer_of_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    write_json(path, {"model": {"type": "BPE", "vocab": {}, "merges": []}})
    message = (
        f"{path}: model.type is 'BPE'; expected 'WordPiece', as in every BERT; "
        "this is the tokenizer of another kind of model"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        BertTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("file", "value", "message"),
    [
        ("tokenizer_config", {"do_lower_case": "no"}, "do_lower_case is 'no'; expected true or false"),
        ("tokenizer_config", {"model_max_length": 1.5}, "model_max_length is 1.5; expected a whole number"),
        (
            "tokenizer_config",
            {"mask_token": 3},
            'mask_token is 3; expected a token: a string or an object with "content"',
        ),
        ("tokenizer_config", {"padding_side": "up"}, "padding_side is 'up'; expected 'left' or 'right'"),
        ("added_tokens", {"one": "12"}, "one is '12'; expected a whole number"),
        ("tokenizer_config", [1], "holds a list; expected a JSON object"),
    ],
)
def test_a_setting_of_the_wrong_type_is_refused(folder: Path, file: str, value: object, message: str) -> None:
    write_json(folder / f"{file}.json", value)
    with pytest.raises(CheckpointError, match=f"^{re.escape(f'{folder}/{file}.json: {message}')}$"):
        BertTokenizer.from_pretrained(folder)


def test_broken_json_is_refused(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("{", encoding="utf-8")
    message = (
        "tokenizer_config.json: is not JSON .*; expected a JSON object; download or write the file again$"
    )
    with pytest.raises(CheckpointError, match=message):
        BertTokenizer.from_pretrained(folder)


def test_an_added_token_with_a_gap_before_its_id_is_refused(folder: Path) -> None:
    write_json(folder / "added_tokens.json", {"one": 14})
    message = (
        f"{folder}: the added token 'one' has the id 14; expected 12, since ids have no gap and agree with "
        "vocab.txt; mend the file that lists added tokens"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        BertTokenizer.from_pretrained(folder)
