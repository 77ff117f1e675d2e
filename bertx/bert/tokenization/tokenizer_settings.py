"""The options of a tokenizer as one value, for the code that builds, saves and reads tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tokenizers import AddedToken

Side: TypeAlias = Literal["left", "right"]
WordRules: TypeAlias = Literal["bert", "keras_hub"]

SIDES: tuple[Side, ...] = ("left", "right")
WORD_RULES: tuple[WordRules, ...] = ("bert", "keras_hub")
# The roles that a special token can have in BERT.
ROLES = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, kw_only=True)
class TokenizerSettings:
    """All arguments of `BertTokenizer` but the vocabulary; they are explained there.

    Raises:
        ValueError: An argument has a value that does not exist.
    """

    do_lower_case: bool = True
    do_basic_tokenize: bool = True
    never_split: Sequence[str] = ()
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    clean_text: bool = True
    unk_token: str = "[UNK]"
    sep_token: str = "[SEP]"
    pad_token: str = "[PAD]"
    cls_token: str = "[CLS]"
    mask_token: str = "[MASK]"
    added_tokens: Sequence[AddedToken] = ()
    wordpieces_prefix: str = "##"
    max_input_chars_per_word: int = 100
    model_max_length: int | None = None
    padding_side: Side = "right"
    truncation_side: Side = "right"
    clean_up_tokenization_spaces: bool = True
    split_special_tokens: bool = False
    word_rules: WordRules = "bert"

    def __post_init__(self) -> None:
        if isinstance(self.never_split, str):
            raise ValueError(f"never_split is {self.never_split!r}; expected a list of words")
        for name, choices in (
            ("padding_side", SIDES),
            ("truncation_side", SIDES),
            ("word_rules", WORD_RULES),
        ):
            if (value := getattr(self, name)) not in choices:
                raise ValueError(f"{name} is {value!r}; expected {' or '.join(map(repr, choices))}")

    @property
    def roles(self) -> dict[str, str]:
        """The special tokens by role."""
        return {role: str(getattr(self, role)) for role in ROLES}

    @property
    def uses_rust_rules(self) -> bool:
        """Whether words are cut by the Rust library's own rules, which `tokenizer.json` can express."""
        return self.do_basic_tokenize and not self.never_split and self.word_rules == "bert"
