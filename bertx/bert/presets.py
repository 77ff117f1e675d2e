"""KerasHub's ten presets of BERT, and where names with a scheme lead: `hf://...`, `kaggle://...`.

Source: the table of presets in KerasHub's documentation of `BertTextClassifier`; sizes are those of Google's
releases. The hub has each as `keras/NAME`, Kaggle as `keras/bert/keras/NAME`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bertx.bert.config import BertConfig
from bertx.errors import CheckpointError

HUB_SCHEME = "hf://"
KAGGLE_SCHEME = "kaggle://"
KAGGLE_FORM = "kaggle://ORGANIZATION/MODEL/FRAMEWORK/VARIATION[/VERSION]"


@dataclass(frozen=True)
class Preset:
    """A pretrained encoder, and for one of them a classifier, that KerasHub knows by name.

    Attributes:
        name: Its name there.
        config: Its sizes.
        twin: The same weights on the Hugging Face hub in the format of `transformers`, if there are such.
        description: What it was trained on.
        kaggle_version: The version that KerasHub asks Kaggle for.
    """

    name: str
    config: BertConfig
    twin: str | None
    description: str
    kaggle_version: int = 3

    @property
    def is_lower_case(self) -> bool:
        """Whether its tokenizer ignores case."""
        return "uncased" in self.name

    @property
    def hub_name(self) -> str:
        """The preset's name on the Hugging Face hub."""
        return f"keras/{self.name}"

    @property
    def kaggle_handle(self) -> str:
        """The preset's name on Kaggle."""
        return f"{KAGGLE_SCHEME}keras/bert/keras/{self.name}/{self.kaggle_version}"

    @property
    def num_parameters(self) -> int:
        """The number of weights of the encoder with its pooler."""
        return num_parameters(self.config)


def num_parameters(config: BertConfig) -> int:
    """Counts the weights of an encoder with its pooler."""
    hidden, wide = config.hidden_size, config.intermediate_size
    norm = 2 * hidden
    dense = hidden * hidden + hidden
    embedded = config.vocab_size + config.max_position_embeddings + config.type_vocab_size
    feed_forward = hidden * wide + wide + wide * hidden + hidden
    layer = 4 * dense + norm + feed_forward + norm
    return embedded * hidden + norm + config.num_hidden_layers * layer + dense


def _config(vocab_size: int, layers: int, hidden_size: int) -> BertConfig:
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=hidden_size // 64,
        intermediate_size=4 * hidden_size,
        hidden_act="gelu_new",
    )


UNCASED, CASED, CHINESE, MULTILINGUAL = 30522, 28996, 21128, 119547  # sizes of Google's vocabularies
ENGLISH = "English Wikipedia and BooksCorpus"
_ROWS = (
    Preset("bert_tiny_en_uncased", _config(UNCASED, 2, 128), "google/bert_uncased_L-2_H-128_A-2", ENGLISH),
    Preset("bert_small_en_uncased", _config(UNCASED, 4, 512), "google/bert_uncased_L-4_H-512_A-8", ENGLISH),
    Preset("bert_medium_en_uncased", _config(UNCASED, 8, 512), "google/bert_uncased_L-8_H-512_A-8", ENGLISH),
    Preset("bert_base_en_uncased", _config(UNCASED, 12, 768), "google-bert/bert-base-uncased", ENGLISH),
    Preset("bert_base_en", _config(CASED, 12, 768), "google-bert/bert-base-cased", ENGLISH),
    Preset("bert_base_zh", _config(CHINESE, 12, 768), "google-bert/bert-base-chinese", "Chinese Wikipedia"),
    Preset(
        "bert_base_multi",
        _config(MULTILINGUAL, 12, 768),
        "google-bert/bert-base-multilingual-cased",
        "Wikipedias of 104 languages",
    ),
    Preset("bert_large_en_uncased", _config(UNCASED, 24, 1024), "google-bert/bert-large-uncased", ENGLISH),
    Preset("bert_large_en", _config(CASED, 24, 1024), "google-bert/bert-large-cased", ENGLISH),
    Preset("bert_tiny_en_uncased_sst2", _config(UNCASED, 2, 128), None, f"{ENGLISH}; SST-2", 5),
)
PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _ROWS}


def hub_name(name: str) -> str:
    """Returns the name on the Hugging Face hub that a name stands for: a preset's, or what follows `hf://`."""
    if name in PRESETS:
        return PRESETS[name].hub_name
    return name.removeprefix(HUB_SCHEME)


def fetch_from_kaggle(handle: str) -> Path:
    """Fetches a preset from Kaggle into the cache of kagglehub, or finds it there.

    Args:
        handle: `kaggle://keras/bert/keras/bert_base_en/3`, or without the version.

    Raises:
        CheckpointError: The handle has another form, kagglehub is not installed, or the fetch fails.
    """
    path = handle.removeprefix(KAGGLE_SCHEME)
    parts = path.split("/")
    if len(parts) not in (4, 5) or not all(parts) or (len(parts) == 5 and not parts[4].isdecimal()):
        raise CheckpointError(f"{handle}: not a name on Kaggle; expected {KAGGLE_FORM}")
    if importlib.util.find_spec("kagglehub") is None:
        raise CheckpointError(
            f"{handle}: needs kagglehub, which is not installed; pip install kagglehub, or fetch it from "
            f"https://www.kaggle.com/models/{parts[0]}/{parts[1]} and give its folder{_on_hub(parts[3])}"
        )
    try:
        return Path(importlib.import_module("kagglehub").model_download(path))
    except Exception as error:  # what a failed connection raises depends on kagglehub's version
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{handle}: Kaggle could not be reached or has no such model: {reason}"
        ) from error


def _on_hub(variation: str) -> str:
    return (
        f"; the Hugging Face hub has the same: {HUB_SCHEME}keras/{variation}" if variation in PRESETS else ""
    )
