"""What a BERT encoder is made of: the keys of `config.json`, checked."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bertx.config.registrable import Configurable
from bertx.errors import CheckpointError, ConfigError

HiddenAct = Literal["gelu", "gelu_new", "relu", "silu"]

# Other names of the same functions in files of Hugging Face.
ACTIVATION_ALIASES: Mapping[str, HiddenAct] = {
    "gelu_pytorch_tanh": "gelu_new",
    "gelu_python": "gelu",
    "swish": "silu",
}

# Keys that change what is computed, and the only values under which this encoder computes the same.
SUPPORTED_ONLY: Mapping[str, object] = {
    "model_type": "bert",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}


@dataclass(frozen=True)
class BertConfig(Configurable):
    """Describes the sizes and rates of a BERT encoder.

    Names and defaults are those of Hugging Face's `config.json`; the defaults make bert-base-uncased.

    Args:
        vocab_size: Number of word pieces.
        hidden_size: Length of each token's vector; a multiple of `num_attention_heads`.
        num_hidden_layers: Number of Transformer layers.
        num_attention_heads: Number of attention heads per layer.
        intermediate_size: Width of the feed-forward layer.
        hidden_act: Activation of the feed-forward layer; `gelu_new` is the tanh approximation.
        hidden_dropout_prob: Dropout after the embeddings and after each sublayer.
        attention_probs_dropout_prob: Dropout on the attention probabilities.
        max_position_embeddings: The longest input, in tokens.
        type_vocab_size: Number of segments that `token_type_ids` may name.
        initializer_range: Standard deviation of freshly drawn weights.
        layer_norm_eps: Added to the variance in layer normalisation.
        pad_token_id: Id of `[PAD]`, whose fresh embedding is zero; None means there is none.
        classifier_dropout: Dropout before a classification head; None means `hidden_dropout_prob`.

    Attributes:
        extra: Keys of a `config.json` that the encoder does not use; `to_dict` writes them back. Configs
            that differ in nothing else are equal.

    Raises:
        ConfigError: A size or a rate is impossible.

    Source: Devlin et al. 2019, sections 3 and A.2; the default values are those of its released code.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: HiddenAct = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None
    extra: dict[str, object] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        problems = self._problems()
        if problems:
            raise ConfigError("\n".join(problems))

    def _problems(self) -> list[str]:
        problems = []
        for name in _names_of(int):
            if getattr(self, name) < 1:
                problems.append(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            rate = getattr(self, name)
            if rate is not None and not 0 <= rate < 1:
                problems.append(f"{name} is {rate}; expected at least 0 and less than 1")
        if not 0 <= self.initializer_range < float("inf"):
            problems.append(f"initializer_range is {self.initializer_range}; expected 0 or more")
        if not 0 < self.layer_norm_eps < float("inf"):
            problems.append(f"layer_norm_eps is {self.layer_norm_eps}; expected more than 0")
        if self.pad_token_id is not None and not 0 <= self.pad_token_id < self.vocab_size:
            problems.append(
                f"pad_token_id is {self.pad_token_id}; expected 0 to vocab_size - 1 ({self.vocab_size - 1})"
            )
        if self.num_attention_heads > 0 and self.hidden_size % self.num_attention_heads:
            problems.append(
                f"hidden_size is {self.hidden_size}, which {self.num_attention_heads} attention heads cannot "
                "share equally; expected a multiple of num_attention_heads"
            )
        return problems

    @classmethod
    def from_dict(cls, settings: Mapping[str, object]) -> BertConfig:
        """Reads the keys of a `config.json`; keys that the encoder does not use go to `extra`.

        Raises:
            ConfigError: A value has the wrong type, or asks for what this encoder does not compute.
        """
        settings = dict(settings)
        activation = settings.get("hidden_act")
        if isinstance(activation, str):
            settings["hidden_act"] = ACTIVATION_ALIASES.get(activation, activation)
        hints = _hints()
        known = {name: value for name, value in settings.items() if name in hints}
        problems = [_unsupported(key, settings[key]) for key in SUPPORTED_ONLY if key in settings]
        problems += [_misfit(name, value, hints[name]) for name, value in known.items()]
        if any(problems):
            raise ConfigError("\n".join(problem for problem in problems if problem))
        config = cls(**known)  # type: ignore[arg-type]  # _misfit has compared each value with its annotation
        unused = settings.keys() - hints.keys() - {"model_type"}
        config.extra.update((name, settings[name]) for name in sorted(unused))
        return config

    @classmethod
    def from_file(cls, path: Path) -> BertConfig:
        """Reads a `config.json` (or `bert_config.json`) of Hugging Face or Google.

        Raises:
            CheckpointError: The file is missing, no JSON object, or describes no BERT encoder.
        """
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(
                f"{path}: there is no such file; expected the config.json of a BERT encoder"
            ) from None
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
        except ValueError as error:
            raise CheckpointError(
                f"{path}: not JSON ({error}); expected the config.json of a BERT encoder"
            ) from None
        if not isinstance(settings, dict):
            raise CheckpointError(f"{path}: not a JSON object (found a {type(settings).__name__})")
        try:
            return cls.from_dict(settings)
        except ConfigError as error:
            raise CheckpointError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None

    def to_dict(self) -> dict[str, object]:
        """Returns every key of a `config.json` that Hugging Face's BertConfig reads, `extra` included."""
        own = {name: getattr(self, name) for name in _hints()}
        return self.extra | own | {"model_type": "bert"}


def _hints() -> dict[str, object]:
    hints = typing.get_type_hints(BertConfig)
    return {item.name: hints[item.name] for item in dataclasses.fields(BertConfig) if item.init}


def _names_of(kind: type) -> list[str]:
    return [name for name, hint in _hints().items() if hint is kind]


def _unsupported(key: str, value: object) -> str:
    wanted = SUPPORTED_ONLY[key]
    if value == wanted:
        return ""
    return f"{key} is {json.dumps(value)}, which is not supported; expected {json.dumps(wanted)}"


def _misfit(name: str, value: object, hint: object) -> str:
    return "" if _fits(value, hint) else f"{name} is {json.dumps(value)}; expected {_in_words(hint)}"


def _fits(value: object, hint: object) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_fits(value, arm) for arm in typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint  # exactly: a bool is no size


def _in_words(hint: object) -> str:
    if isinstance(hint, types.UnionType):
        return " or ".join(_in_words(arm) for arm in typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(json.dumps(name) for name in typing.get_args(hint))
    return {int: "a whole number", float: "a number", types.NoneType: "null"}[typing.cast(type, hint)]
