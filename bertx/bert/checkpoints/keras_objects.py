"""The JSON objects by which KerasHub describes a backbone, a task, a tokenizer and a preprocessor.

Each is `{"module", "class_name", "config", "registered_name"}`, and a task holds the objects of its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from bertx.bert.config import BertConfig
from bertx.bert.tokenization.json_settings import JsonObject, JsonSettings
from bertx.bert.tokenization.packing import PACKING_TRUNCATIONS, PackingTruncation
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import CheckpointError, ConfigError

Task: TypeAlias = Literal["BertTextClassifier", "BertMaskedLM"]

# Arguments of KerasHub's backbone, and the keys of config.json that they are here.
BACKBONE_SETTINGS: Mapping[str, str] = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "max_sequence_length": "max_position_embeddings",
    "num_segments": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
}
# What KerasHub's backbone always has.
ACTIVATION = "gelu_new"
LAYER_NORM_EPS = 1e-12
SPECIAL_TOKENS = ("[CLS]", "[SEP]", "[PAD]", "[MASK]")
TASK_CLASSES: Mapping[str, Task] = {
    "BertTextClassifier": "BertTextClassifier",
    "BertClassifier": "BertTextClassifier",  # its name in KerasNLP
    "BertMaskedLM": "BertMaskedLM",
}
PREPROCESSORS: Mapping[Task, str] = {
    "BertTextClassifier": "BertTextClassifierPreprocessor",
    "BertMaskedLM": "BertMaskedLMPreprocessor",
}
MODULES: Mapping[str, str] = {
    "BertBackbone": "bert_backbone",
    "BertTokenizer": "bert_tokenizer",
    "BertTextClassifier": "bert_text_classifier",
    "BertTextClassifierPreprocessor": "bert_text_classifier_preprocessor",
    "BertMaskedLM": "bert_masked_lm",
    "BertMaskedLMPreprocessor": "bert_masked_lm_preprocessor",
}


@dataclass(frozen=True)
class KerasModel:
    """What the JSON files of KerasHub say of a model.

    Attributes:
        config: Sizes and rates; `num_labels` and `classifier_dropout` are those of a classifier.
        task: The class of the model; None for a backbone alone, and for tasks that are not known here.
        activation: What a classifier puts on its logits: `linear`, `softmax` and so on.
        sequence_length: The length to which the preprocessor pads and truncates; None: no preprocessor.
        truncate: How the preprocessor shares `sequence_length` among segments.
    """

    config: BertConfig
    task: Task | None = None
    activation: str = "linear"
    sequence_length: int | None = None
    truncate: PackingTruncation = "round_robin"


def read_model(
    path: Path, backbone: JsonObject, task: JsonObject | None, preprocessor: JsonObject | None
) -> KerasModel:
    """Reads the objects of a model.

    Args:
        path: Where they stand, for errors.
        backbone: A serialized `BertBackbone`.
        task: A serialized task, if there is one.
        preprocessor: A serialized preprocessor, if there is one.

    Raises:
        CheckpointError: The backbone is no BERT, or a setting is missing, wrong or not supported.
    """
    settings = _config_of(path, backbone, ["BertBackbone"])
    missing = [name for name in BACKBONE_SETTINGS if name not in settings.values]
    if missing:
        raise CheckpointError(
            f"{path}: config.{missing[0]} is missing; expected the config of a BertBackbone"
        )
    values = {ours: settings.values[theirs] for theirs, ours in BACKBONE_SETTINGS.items()}
    values["attention_probs_dropout_prob"] = values["hidden_dropout_prob"]
    values["pad_token_id"] = None  # KerasHub trains the vector of [PAD], whichever its id is
    class_name = TASK_CLASSES.get(str(task.get("class_name"))) if task else None
    activation = "linear"
    if task and class_name == "BertTextClassifier":
        head = _config_of(path, task, list(TASK_CLASSES))
        values["num_labels"] = head.number("num_classes", 2)
        values["classifier_dropout"] = head.values.get("dropout")
        activation = head.text("activation", "linear")
    elif class_name == "BertMaskedLM":
        values["prediction_head"] = "keras_hub"
    packing = _config_of(path, preprocessor, None) if preprocessor else JsonSettings(path, {})
    try:
        config = BertConfig.from_dict(values | {"hidden_act": ACTIVATION, "layer_norm_eps": LAYER_NORM_EPS})
    except ConfigError as error:
        raise CheckpointError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None
    return KerasModel(
        config,
        class_name,
        activation,
        packing.number("sequence_length", 512) if preprocessor else None,
        packing.choice("truncate", PACKING_TRUNCATIONS, "round_robin"),
    )


def nested(path: Path, item: JsonObject, key: str) -> JsonObject | None:
    """Finds the object of a part inside that of a whole; None if it is null or absent."""
    part = _config_of(path, item, None).section(key).values
    return dict(part) or None


def read_tokenizer(
    path: Path, item: JsonObject, vocab: Mapping[str, int], do_lower_case: bool | None = None
) -> BertTokenizer:
    """Builds the tokenizer that an object describes; `do_lower_case` overrides it where it is not None.

    Raises:
        CheckpointError: It is the tokenizer of another model, or splits no words.
        DataError: The vocabulary lacks a special token.
    """
    settings = _config_of(path, item, ["BertTokenizer"])
    if not settings.flag("split", True):
        raise CheckpointError(f"{path}: config.split is false; expected a tokenizer that splits words")
    return BertTokenizer(
        vocab,
        do_lower_case=settings.flag("lowercase", False) if do_lower_case is None else do_lower_case,
        strip_accents=settings.flag("strip_accents", False),
        unk_token=settings.text("oov_token", "[UNK]"),
        wordpieces_prefix=settings.text("suffix_indicator", "##"),
        split_special_tokens=not settings.flag("special_tokens_in_strings", False),
        word_rules="keras_hub",
    )


def backbone_object(config: BertConfig) -> JsonObject:
    """Describes a backbone.

    Raises:
        CheckpointError: KerasHub has no such encoder.
    """
    if config.hidden_act not in ("gelu", ACTIVATION):
        raise CheckpointError(f"hidden_act is {config.hidden_act!r}; KerasHub's BERT computes gelu only")
    if config.layer_norm_eps != LAYER_NORM_EPS:
        raise CheckpointError(
            f"layer_norm_eps is {config.layer_norm_eps}; KerasHub's BERT computes with {LAYER_NORM_EPS} only"
        )
    for setting in ("is_decoder", "pruned_heads"):
        if getattr(config, setting):
            raise CheckpointError(
                f"{setting} is {getattr(config, setting)}; KerasHub's BERT has no such thing"
            )
    settings = {theirs: getattr(config, ours) for theirs, ours in BACKBONE_SETTINGS.items()}
    return _object("BertBackbone", settings)


def tokenizer_object(tokenizer: BertTokenizer) -> JsonObject:
    """Describes a tokenizer; its vocabulary is a file of its own.

    Raises:
        CheckpointError: A special token has another name than in KerasHub.
    """
    names = (tokenizer.cls_token, tokenizer.sep_token, tokenizer.pad_token, tokenizer.mask_token)
    if names != SPECIAL_TOKENS:
        raise CheckpointError(
            f"the special tokens are {', '.join(names)}; KerasHub's BERT has {', '.join(SPECIAL_TOKENS)}"
        )
    strips = tokenizer.do_lower_case if tokenizer.strip_accents is None else tokenizer.strip_accents
    settings: JsonObject = {
        "config_file": "tokenizer.json",
        "vocabulary": None,
        "sequence_length": None,
        "lowercase": tokenizer.do_lower_case,
        "strip_accents": strips,
        "split": True,
        "suffix_indicator": tokenizer.wordpieces_prefix,
        "oov_token": tokenizer.unk_token,
        "special_tokens": None,
        "special_tokens_in_strings": not tokenizer.split_special_tokens,
    }
    return _object("BertTokenizer", settings, dtype="int32")


def preprocessor_object(model: KerasModel, tokenizer: JsonObject) -> JsonObject:
    """Describes the preprocessor of a model."""
    settings: JsonObject = {
        "tokenizer": tokenizer,
        "config_file": "preprocessor.json",
        "sequence_length": model.sequence_length or model.config.max_position_embeddings,
        "truncate": model.truncate,
    }
    return _object(PREPROCESSORS[model.task or "BertTextClassifier"], settings)


def task_object(model: KerasModel, task: Task, preprocessor: JsonObject | None) -> JsonObject:
    """Describes a whole model."""
    settings: JsonObject = {"backbone": backbone_object(model.config), "preprocessor": preprocessor}
    if task == "BertTextClassifier":
        dropout = model.config.classifier_dropout
        settings |= {
            "num_classes": model.config.num_labels,
            "activation": model.activation,
            "dropout": model.config.hidden_dropout_prob if dropout is None else dropout,
        }
    return _object(task, settings, dtype=None)


def _object(class_name: str, settings: JsonObject, dtype: str | None = "float32") -> JsonObject:
    policy = {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": dtype},
        "registered_name": None,
    }
    common: JsonObject = {"name": MODULES[class_name]}
    if dtype is not None:
        common |= {"trainable": True, "dtype": policy}
    return {
        "module": f"keras_hub.src.models.bert.{MODULES[class_name]}",
        "class_name": class_name,
        "config": common | settings,
        "registered_name": f"keras_hub>{class_name}",
    }


def _config_of(path: Path, item: JsonObject, class_names: list[str] | None) -> JsonSettings:
    class_name = item.get("class_name")
    if class_names is not None and class_name not in class_names:
        raise CheckpointError(f"{path}: a {class_name}; expected a {class_names[0]}")
    return JsonSettings(path, item).section("config")
