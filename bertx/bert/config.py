"""What a BERT encoder is made of: the keys of `config.json`, checked."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from bertx.bert.json_config import misfit, read_settings, settable_types, typed
from bertx.config.registrable import Configurable, FromPython
from bertx.errors import CheckpointError, ConfigError

logger = logging.getLogger(__name__)

HiddenAct = Literal["gelu", "gelu_new", "relu", "silu"]
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]
Activation = Callable[[Tensor], Tensor]

CONFIG_FILES = ("config.json", "bert_config.json")  # the second is Google's and old Hugging Face's

# Other names of the same functions in files of Hugging Face.
ACTIVATION_ALIASES: Mapping[str, HiddenAct] = {
    "gelu_pytorch_tanh": "gelu_new",
    "gelu_python": "gelu",
    "swish": "silu",
}

# Keys that change what is computed, and the only values under which this encoder computes the same.
SUPPORTED_ONLY: Mapping[str, object] = {"model_type": "bert", "position_embedding_type": "absolute"}

SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "num_labels",
)

# Settings that `transformers` does not know; they are written where they are not the default.
WRITTEN_IF_SET = ("initializer", "gradient_checkpointing", "pruned_heads", "prediction_head")


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
        use_cache: Whether a decoder returns its keys and values, for the next token.
        is_decoder: Whether each token sees only those before it.
        add_cross_attention: Whether each layer also attends to an encoder; for decoders only.
        bos_token_id: Id that starts a generated text, if any.
        eos_token_id: Id or ids that end a generated text, if any.
        tie_word_embeddings: Whether the output layer of a language model is the word embedding.
        chunk_size_feed_forward: Tokens that the feed-forward layer takes at once, to save memory; 0: all.
        output_hidden_states: Whether the encoder returns the hidden states of all layers.
        output_attentions: Whether the encoder returns the attention probabilities.
        return_dict: Whether models return an object with names; if not, a tuple without what is absent.
        num_labels: Number of classes of a classification head.
        id2label: Name of each class; empty means `LABEL_0` and so on.
        label2id: Number of each class name; empty means that of `id2label`.
        problem_type: What the labels of a sequence are; None means that the first labels seen decide.
        initializer: Distribution of freshly drawn weights. `truncated_normal` has no values beyond two
            standard deviations, as in the code of Devlin et al.
        gradient_checkpointing: Whether training recomputes each layer in the backward pass, to save memory.
        pruned_heads: Numbers of the attention heads that are taken out, by layer.
        prediction_head: How the masked language model's head computes. `keras_hub`: with exact GELU and 1e-5
            in its layer normalisation, whatever the encoder's are.

    Attributes:
        extra: Keys of a `config.json` that the encoder does not use; `to_dict` writes them back. Configs
            that differ in nothing else are equal.

    Raises:
        ConfigError: A size or a rate is impossible, or two settings contradict each other.

    Source: Devlin et al. 2019, sections 3 and A.2; the default values are those of its released code.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: HiddenAct | FromPython[Activation] = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None
    use_cache: bool = True
    is_decoder: bool = False
    add_cross_attention: bool = False
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    tie_word_embeddings: bool = True
    chunk_size_feed_forward: int = 0
    output_hidden_states: bool = False
    output_attentions: bool = False
    return_dict: bool = True
    num_labels: int = 2
    id2label: dict[int, str] = field(default_factory=dict, hash=False)
    label2id: dict[str, int] = field(default_factory=dict, hash=False)
    problem_type: ProblemType | None = None
    initializer: Literal["normal", "truncated_normal"] = "normal"
    gradient_checkpointing: bool = False
    pruned_heads: dict[int, list[int]] = field(default_factory=dict, hash=False)
    prediction_head: Literal["bert", "keras_hub"] = "bert"
    extra: dict[str, object] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._agree_on_labels()
        problems = self._problems()
        if problems:
            raise ConfigError("\n".join(problems))

    def _agree_on_labels(self) -> None:
        """Makes `num_labels`, `id2label` and `label2id` say the same, as `transformers` does."""
        names, ids = self.id2label, self.label2id
        if names and self.num_labels not in (2, len(names)):
            logger.warning(
                "num_labels is %d, but id2label names %d; its names are not used", self.num_labels, len(names)
            )
            names, ids = {}, {}
        names = names or _default_names(self.num_labels)
        object.__setattr__(self, "id2label", names)
        object.__setattr__(self, "num_labels", len(names))
        object.__setattr__(self, "label2id", ids or {name: number for number, name in names.items()})

    def _problems(self) -> list[str]:
        problems = [
            f"{name} is {getattr(self, name)}; expected at least 1"
            for name in SIZES
            if getattr(self, name) < 1
        ]
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
        if self.chunk_size_feed_forward < 0:
            problems.append(f"chunk_size_feed_forward is {self.chunk_size_feed_forward}; expected 0 or more")
        if self.add_cross_attention and not self.is_decoder:
            problems.append("add_cross_attention is true and is_decoder false; expected a decoder")
        if self.problem_type == "single_label_classification" and self.num_labels == 1:
            problems.append(
                'problem_type is "single_label_classification" and num_labels is 1; expected 2 labels or '
                'more, or "regression"'
            )
        for layer, heads in self.pruned_heads.items():
            if layer not in range(self.num_hidden_layers) or not set(heads) <= set(self.heads):
                problems.append(
                    f"pruned_heads is {self.pruned_heads}; expected layers 0 to {self.num_hidden_layers - 1} "
                    f"and heads 0 to {self.num_attention_heads - 1}"
                )
        return problems

    @property
    def heads(self) -> range:
        """The numbers of a layer's attention heads, those that are pruned included."""
        return range(self.num_attention_heads)

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
        for name in ("id2label", "label2id"):
            if settings.get(name) is None:
                settings.pop(name, None)
        hints = settable_types(cls)
        known = {name: value for name, value in settings.items() if name in hints}
        problems = [_unsupported(key, settings[key]) for key in SUPPORTED_ONLY if key in settings]
        problems += [misfit(name, value, hints[name]) for name, value in known.items()]
        if any(problems):
            raise ConfigError("\n".join(problem for problem in problems if problem))
        known = {name: typed(value, hints[name]) for name, value in known.items()}
        config = cls(**known)  # type: ignore[arg-type]  # misfit has compared each value with its annotation
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
            return cls.from_dict(read_settings(path))
        except ConfigError as error:
            raise CheckpointError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None

    @classmethod
    def from_folder(cls, folder: Path) -> BertConfig:
        """Reads the `config.json` of a folder, or the file that was called `bert_config.json` earlier.

        Raises:
            CheckpointError: There is none, or it describes no BERT encoder.
        """
        present = [folder / name for name in CONFIG_FILES if (folder / name).is_file()]
        return cls.from_file(present[0] if present else folder / CONFIG_FILES[0])

    def updated(self, settings: Mapping[str, object]) -> BertConfig:
        """Returns a copy with other values of some keys of `config.json`; `extra` is kept.

        A number of labels alone takes the names of the labels away, where it is another than theirs.

        Raises:
            ConfigError: A value has the wrong type or is impossible.
        """
        own = self.to_dict()
        if settings.get("num_labels", self.num_labels) != self.num_labels or "id2label" in settings:
            own = {name: value for name, value in own.items() if name not in ("id2label", "label2id")}
        return self.from_dict(own | dict(settings))

    def to_dict(self) -> dict[str, object]:
        """Returns every key of a `config.json` that Hugging Face's BertConfig reads, `extra` included.

        Names of labels are left out where they are the two default ones, as Hugging Face does.
        """
        own = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.init}
        del own["num_labels"]
        if self.id2label == _default_names(2):
            del own["id2label"], own["label2id"]
        for name in WRITTEN_IF_SET:
            if not own[name] or own[name] in ("normal", "bert"):
                del own[name]
        return self.extra | own | {"model_type": "bert"}


def _default_names(count: int) -> dict[int, str]:
    return {number: f"LABEL_{number}" for number in range(count)}


def _unsupported(key: str, value: object) -> str:
    wanted = SUPPORTED_ONLY[key]
    if value == wanted:
        return ""
    return f"{key} is {json.dumps(value)}, which is not supported; expected {json.dumps(wanted)}"
