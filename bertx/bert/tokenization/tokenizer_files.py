"""Reads and writes the files of a tokenizer in a Hugging Face checkpoint folder, old and new.

| file | holds |
|---|---|
| `vocab.txt` | pieces, one per line; absent from what transformers 5 writes |
| `tokenizer.json` | all that the Rust library needs, pieces included; absent from the oldest folders |
| `tokenizer_config.json` | settings, names of special tokens, added tokens |
| `special_tokens_map.json` | names of special tokens; older folders |
| `added_tokens.json` | ids of added tokens; older folders |

A setting holds from the first of these that has it: `tokenizer_config.json`, `special_tokens_map.json`,
`tokenizer.json`, BERT's usual value.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from tokenizers import AddedToken, Tokenizer

from bertx.atomic import not_writable, write_json, write_text
from bertx.bert.tokenization.json_settings import JsonObject, JsonSettings
from bertx.bert.tokenization.tokenizer_settings import ROLES, SIDES, WORD_RULES, TokenizerSettings
from bertx.bert.tokenization.wordpiece_vocab import read_vocab, vocab_text
from bertx.errors import CheckpointError

logger = logging.getLogger(__name__)

_BERT_PARTS = {"model": "WordPiece", "normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}

# transformers writes int(1e30) for "no limit".
NO_LIMIT = 10**9


def read_tokenizer(source: Path, do_lower_case: bool | None) -> tuple[dict[str, int], TokenizerSettings]:
    """Reads a folder, or a single vocabulary file.

    Args:
        source: The folder or file.
        do_lower_case: Overrides the files; `None` leaves the answer to them, and last to the name.

    Raises:
        CheckpointError: A file is missing or unreadable, or two files contradict each other.
        DataError: The vocabulary is empty or has a piece twice.
    """
    vocab, config, rust, older = _read_folder(source) if source.is_dir() else _read_single_file(source)
    normalizer, model = rust.section("normalizer"), rust.section("model")
    if do_lower_case is None:
        do_lower_case = config.flag("do_lower_case", normalizer.flag("lowercase", None))
    maximum = config.number("model_max_length", config.number("max_len", None))
    usual = TokenizerSettings()
    return vocab, TokenizerSettings(
        do_lower_case=_guess_lower_case(source) if do_lower_case is None else do_lower_case,
        do_basic_tokenize=config.flag("do_basic_tokenize", True),
        never_split=config.texts("never_split"),
        strip_accents=config.flag("strip_accents", normalizer.flag("strip_accents", None)),
        tokenize_chinese_chars=config.flag(
            "tokenize_chinese_chars", normalizer.flag("handle_chinese_chars", True)
        ),
        clean_text=config.flag("clean_text", normalizer.flag("clean_text", True)),
        unk_token=config.token("unk_token", usual.unk_token),
        sep_token=config.token("sep_token", usual.sep_token),
        pad_token=config.token("pad_token", usual.pad_token),
        cls_token=config.token("cls_token", usual.cls_token),
        mask_token=config.token("mask_token", usual.mask_token),
        added_tokens=_added_tokens(vocab, config, rust, older),
        wordpieces_prefix=config.text(
            "wordpieces_prefix", model.text("continuing_subword_prefix", usual.wordpieces_prefix)
        ),
        max_input_chars_per_word=config.number(
            "max_input_chars_per_word",
            model.number("max_input_chars_per_word", usual.max_input_chars_per_word),
        ),
        model_max_length=None if maximum is None or maximum > NO_LIMIT else maximum,
        padding_side=config.choice("padding_side", SIDES, usual.padding_side),
        truncation_side=config.choice("truncation_side", SIDES, usual.truncation_side),
        clean_up_tokenization_spaces=config.flag("clean_up_tokenization_spaces", True),
        split_special_tokens=config.flag("split_special_tokens", False),
        word_rules=config.choice("word_rules", WORD_RULES, usual.word_rules),
    )


def write_tokenizer(
    folder: Path, rust: Tokenizer, vocab: Mapping[str, int], settings: TokenizerSettings
) -> None:
    """Writes the files, each in one step; those that would have nothing to say are removed.

    Args:
        folder: Made where it does not exist.
        rust: The tokenizer of the Rust library.
        vocab: Its pieces, without added tokens.
        settings: All else.
    """
    added = sorted(rust.get_added_tokens_decoder().items())
    roles = settings.roles
    extra = [token.content for _, token in added if token.special and token.content not in roles.values()]
    # transformers 4 and 5 both know this key.
    names: JsonObject = {**roles, **({"additional_special_tokens": extra} if extra else {})}
    config: JsonObject = {
        name: value
        for name, value in vars(settings).items()
        if name not in ("added_tokens", "model_max_length")
    }
    if settings.model_max_length is not None:
        config["model_max_length"] = settings.model_max_length
    config |= names
    config["never_split"] = list(settings.never_split) or None
    config["tokenizer_class"] = "BertTokenizer"
    config["added_tokens_decoder"] = {str(id_): _described(token) for id_, token in added}
    beyond = {token.content: id_ for id_, token in added if token.content not in vocab}
    write_text(folder / "vocab.txt", vocab_text(vocab))
    write_json(folder / "tokenizer_config.json", dict(sorted(config.items())))
    write_json(folder / "special_tokens_map.json", names)
    texts = {
        "tokenizer.json": rust.to_str(pretty=True) + "\n" if settings.uses_rust_rules else None,
        "added_tokens.json": json.dumps(beyond, ensure_ascii=False, indent=2) + "\n" if beyond else None,
    }
    for name, text in texts.items():
        if text is not None:
            write_text(folder / name, text)
        elif (folder / name).exists():
            _remove(folder / name)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise not_writable(path, error) from None


def _described(token: AddedToken) -> JsonObject:
    return {
        "content": token.content,
        "lstrip": token.lstrip,
        "normalized": token.normalized,
        "rstrip": token.rstrip,
        "single_word": token.single_word,
        "special": token.special,
    }


_Sources: TypeAlias = tuple[dict[str, int], JsonSettings, JsonSettings, JsonSettings]
"""The pieces; then what tokenizer_config.json, tokenizer.json and added_tokens.json say."""


def _read_single_file(path: Path) -> _Sources:
    if not path.exists():
        raise CheckpointError(
            f"{path}: there is no such folder or file; expected a folder with vocab.txt or tokenizer.json, "
            "or a vocabulary file"
        )
    nothing = JsonSettings(path, {})
    return read_vocab(path), nothing, nothing, nothing


def _read_folder(folder: Path) -> _Sources:
    names = _read_json(folder / "special_tokens_map.json")
    config = folder / "tokenizer_config.json"
    rust = JsonSettings(folder / "tokenizer.json", _read_json(folder / "tokenizer.json"))
    older = JsonSettings(folder / "added_tokens.json", _read_json(folder / "added_tokens.json"))
    return _folder_vocab(folder, rust), JsonSettings(config, names | _read_json(config)), rust, older


def _read_json(path: Path) -> JsonObject:
    """Reads a file that may be absent."""
    try:
        value: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); expected a JSON file") from None
    except ValueError as error:
        raise CheckpointError(
            f"{path}: is not JSON ({error}); expected a JSON object; download or write the file again"
        ) from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: holds a {type(value).__name__}; expected a JSON object")
    return value


def _folder_vocab(folder: Path, rust: JsonSettings) -> dict[str, int]:
    """Takes the pieces from `tokenizer.json` or `vocab.txt`, and compares them where both are there."""
    path = folder / "vocab.txt"
    if not rust.values:
        if path.exists():
            return read_vocab(path)
        raise CheckpointError(
            f"{folder}: has neither vocab.txt nor tokenizer.json; expected one of them; "
            "copy the tokenizer's files there, or give another folder"
        )
    for section, expected in _BERT_PARTS.items():
        part = rust.section(section)
        if (found := part.text("type", expected)) != expected:
            raise CheckpointError(
                f"{rust.path}: {section}.type is {found!r}; expected {expected!r}, as in every BERT; "
                "this is the tokenizer of another kind of model"
            )
    vocab = rust.section("model").ids("vocab")
    if path.exists():
        _compare(folder, read_vocab(path), vocab, rust)
    return vocab


def _compare(folder: Path, lines: Mapping[str, int], vocab: Mapping[str, int], rust: JsonSettings) -> None:
    """Refuses a folder of which one file was edited and the other forgotten."""
    added = {token.content: id_ for id_, token in rust.tokens("added_tokens")}
    for piece in sorted(vocab.keys() | lines.keys()):
        if lines.get(piece, added.get(piece)) != (known := vocab.get(piece, added.get(piece))):
            raise CheckpointError(
                f"{folder}: the id of {piece!r} is {lines.get(piece)} in vocab.txt and {known} in "
                "tokenizer.json; expected the same pieces in both; delete the file that is out of date"
            )


def _added_tokens(
    vocab: Mapping[str, int], config: JsonSettings, rust: JsonSettings, older: JsonSettings
) -> list[AddedToken]:
    """Collects added tokens, in the order of their ids; the first source that knows a token describes it."""
    found: dict[str, tuple[int | None, AddedToken]] = {}
    for id_, token in [*config.tokens("added_tokens_decoder"), *rust.tokens("added_tokens")]:
        found.setdefault(token.content, (id_, token))
    for content, id_ in older.all_ids().items():
        found.setdefault(content, (id_, AddedToken(content, special=False, normalized=True)))
    for role in ROLES:
        if (described := config.described_token(role)) is not None:
            found.setdefault(described.content, (vocab.get(described.content), described))
    for key in ("additional_special_tokens", "extra_special_tokens"):
        for content in config.texts(key):
            found.setdefault(
                content, (vocab.get(content), AddedToken(content, special=True, normalized=False))
            )
    with_ids = sorted(
        ((id_, token) for id_, token in found.values() if id_ is not None), key=lambda item: item[0]
    )
    expected = len(vocab)
    for id_, token in with_ids:
        place = vocab.get(token.content, expected)
        if id_ != place:
            raise CheckpointError(
                f"{config.path.parent}: the added token {token.content!r} has the id {id_}; "
                f"expected {place}, since ids have no gap and agree with vocab.txt; "
                "mend the file that lists added tokens"
            )
        expected += place == expected
    return [token for _, token in with_ids] + [token for id_, token in found.values() if id_ is None]


def _guess_lower_case(source: Path) -> bool:
    """Answers for old checkpoints, whose name alone tells whether they are cased."""
    # A hub download lies in .../models--google-bert--bert-base-cased/snapshots/<commit>.
    names = [source.stem, *(part for part in source.parts if part.startswith("models--"))]
    if not any("-cased" in name for name in names):
        return True
    logger.warning("%s: no file says do_lower_case; taken as false, since the name says cased", source)
    return False
