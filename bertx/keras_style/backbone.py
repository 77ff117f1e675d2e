"""KerasHub's `BertBackbone`: the encoder with its pooler."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bertx.bert.checkpoints.formats import read_config
from bertx.bert.checkpoints.keras import write_keras_preset
from bertx.bert.checkpoints.keras_objects import KerasModel
from bertx.bert.config import BertConfig
from bertx.bert.encoders import Encoders
from bertx.bert.model import BertModel
from bertx.bert.presets import PRESETS, Preset
from bertx.keras_style.lora import add_shared_lora, merged_tensors, read_lora, write_lora
from bertx.keras_style.quantization import quantize, require_unquantized
from bertx.keras_style.rows import KINDS

GIGABYTE = 2**30
MAX_SHARD_GIGABYTES = 10


class BertBackbone:
    """Encodes token ids with fresh weights; `from_preset` has pretrained ones.

    Args:
        vocabulary_size: Number of word pieces.
        num_layers: Number of Transformer layers.
        num_heads: Number of attention heads per layer.
        hidden_dim: Length of each token's vector; a multiple of `num_heads`.
        intermediate_dim: Width of the feed-forward layer.
        dropout: Dropout after the embeddings, on attention and after each sublayer.
        max_sequence_length: The longest input, in tokens.
        num_segments: Number of segments that `segment_ids` may name.

    Attributes:
        model: The encoder of `bertx.bert` that does the work.

    Raises:
        ConfigError: A size or a rate is impossible.
    """

    presets: ClassVar[Mapping[str, Preset]] = PRESETS

    def __init__(
        self,
        vocabulary_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        intermediate_dim: int,
        dropout: float = 0.1,
        max_sequence_length: int = 512,
        num_segments: int = 2,
    ) -> None:
        config = BertConfig(
            vocab_size=vocabulary_size,
            hidden_size=hidden_dim,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            intermediate_size=intermediate_dim,
            hidden_act="gelu_new",
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            max_position_embeddings=max_sequence_length,
            type_vocab_size=num_segments,
            initializer="truncated_normal",
            pad_token_id=None,
        )
        self.model = BertModel(config).eval()

    @classmethod
    def over(cls, model: BertModel) -> BertBackbone:
        """Wraps an encoder of `bertx.bert`, which has a pooler."""
        made = cls.__new__(cls)
        made.model = model.eval()
        # KerasHub's `[PAD]` may have any id, and no row of the embedding is kept from learning.
        model.embeddings.word.padding_idx = None
        return made

    @classmethod
    def from_preset(cls, preset: str | Path, load_weights: bool = True) -> BertBackbone:
        """Reads the encoder of a preset; see `BertTextClassifier.from_preset`.

        Raises:
            CheckpointError: There is no such preset, or its files are damaged.
        """
        folder = Encoders().folder(str(preset))
        return cls.over(BertModel.from_pretrained(folder) if load_weights else BertModel(read_config(folder)))

    @property
    def config(self) -> BertConfig:
        """Sizes and rates, by the names of `bertx.bert`."""
        return self.model.config

    @property
    def trainable(self) -> bool:
        """Whether any weight is trained; setting it freezes all of them, or none."""
        return any(parameter.requires_grad for parameter in self.model.parameters())

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.model.requires_grad_(value)

    def count_params(self) -> int:
        """Returns the number of weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Tensor]:
        """Encodes a batch, without dropout and without gradients.

        Args:
            inputs: `token_ids`, `segment_ids` and `padding_mask`, each (batch, tokens).

        Returns:
            `sequence_output`, float (batch, tokens, hidden), and `pooled_output`, float (batch, hidden).
        """
        device = next(self.model.parameters()).device
        tensors = {
            ours: torch.as_tensor(np.asarray(inputs[name])).long().to(device) for name, ours in KINDS.items()
        }
        output = self.model.eval()(**tensors)
        return {"sequence_output": output.last_hidden_state, "pooled_output": output.pooled}

    def enable_lora(self, rank: int, target_layer_names: Sequence[str] | None = None) -> None:
        """Freezes the encoder but for updates of low rank beside its query and value matrices.

        The biases of these layers stay trainable, as in KerasHub, and one of the two small matrices is shared
        by all heads.

        Args:
            rank: The rank of each update.
            target_layer_names: Which of `query`, `key` and `value` have updates; None: query and value.

        Raises:
            ValueError: There are updates already, the model is quantized, or there is no such layer.
        """
        require_unquantized(self.model, "enable_lora")
        add_shared_lora(self.model, rank, target_layer_names)

    def save_lora_weights(self, filepath: str | Path) -> None:
        """Writes the updates to a `.lora.h5`, as KerasHub reads it.

        Raises:
            ValueError: There are none, or the name does not end in `.lora.h5`.
        """
        write_lora(self.model, Path(filepath))

    def load_lora_weights(self, filepath: str | Path) -> None:
        """Reads updates that this or KerasHub wrote; `enable_lora` is called first where it was not.

        Raises:
            CheckpointError: The file is damaged, or its updates belong to another encoder.
            ValueError: The model is quantized.
        """
        require_unquantized(self.model, "load_lora_weights")
        read_lora(self.model, Path(filepath))

    def quantize(self, mode: str) -> None:
        """Makes matrices int8; see `BertTextClassifier.quantize`."""
        quantize(self.model, mode)

    def save_to_preset(
        self, preset_dir: str | Path, max_shard_size: float | None = MAX_SHARD_GIGABYTES
    ) -> None:
        """Writes a preset that KerasHub reads, without tokenizer and head; updates of LoRA are merged.

        Args:
            preset_dir: Made where it does not exist.
            max_shard_size: A larger file of weights is cut into shards of that many gigabytes; None: never.

        Raises:
            CheckpointError: KerasHub has no such encoder.
            ValueError: The model is quantized.
        """
        require_unquantized(self.model, "save_to_preset")
        write_keras_preset(
            Path(preset_dir),
            KerasModel(self.config),
            merged_tensors(self.model),
            max_shard_bytes=shard_bytes(max_shard_size),
        )


def shard_bytes(gigabytes: float | None) -> int:
    """Returns the size of the largest file of weights."""
    return sys.maxsize if gigabytes is None else int(gigabytes * GIGABYTE)
