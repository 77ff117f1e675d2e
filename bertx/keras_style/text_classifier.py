"""KerasHub's `BertTextClassifier`: a classifier that takes texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from bertx.bert.checkpoints.formats import read_config
from bertx.bert.checkpoints.keras import is_keras, read_keras_model, read_keras_tokenizer, write_keras_preset
from bertx.bert.checkpoints.keras_objects import KerasModel
from bertx.bert.encoders import Encoders
from bertx.bert.model import BertModel
from bertx.bert.presets import PRESETS, Preset
from bertx.bert.task_heads import BertForSequenceClassification
from bertx.errors import CheckpointError
from bertx.keras_style.backbone import MAX_SHARD_GIGABYTES, BertBackbone, shard_bytes
from bertx.keras_style.compiled_classifier import ACTIVATIONS, Activation, CompiledClassifier
from bertx.keras_style.lora import merged_tensors
from bertx.keras_style.preprocessor import BertTextClassifierPreprocessor
from bertx.keras_style.quantization import quantize, require_unquantized
from bertx.keras_style.task import Auto, Task


class BertTextClassifier(Task):
    """Classifies texts, pairs of texts, or token ids.

    Args:
        backbone: The encoder.
        num_classes: The number of classes.
        preprocessor: Makes token ids of texts; None: `fit`, `predict` and `evaluate` are given a dict of
            `token_ids`, `segment_ids` and `padding_mask`.
        activation: What is put on the logits: a name such as `softmax`, or a function; None: nothing.
        dropout: The dropout probability before the layer that makes the logits.
        compile: Whether to call `compile` with its defaults.

    Attributes:
        preprocessor: As given; it may be set.
        model: The model of `bertx.models` that does the work.

    Raises:
        ConfigError: The dropout is no probability, or there are no classes.
        ValueError: There is no such activation.
    """

    presets: ClassVar[Mapping[str, Preset]] = PRESETS

    def __init__(
        self,
        backbone: BertBackbone,
        num_classes: int,
        preprocessor: BertTextClassifierPreprocessor | None = None,
        activation: str | Activation | None = None,
        dropout: float = 0.1,
        *,
        compile: bool = True,
    ) -> None:
        self._backbone = backbone
        self.num_classes = num_classes
        self.activation = activation or "linear"
        self.dropout = dropout
        model = CompiledClassifier(backbone.model, num_classes, dropout, _activation(self.activation))
        super().__init__(model, preprocessor, compile=compile)

    @classmethod
    def from_preset(
        cls,
        preset: str | Path,
        load_weights: bool = True,
        *,
        num_classes: int | None = None,
        preprocessor: BertTextClassifierPreprocessor | Auto | None = "auto",
        activation: str | Activation | None = None,
        dropout: float | None = None,
        compile: bool = True,
    ) -> BertTextClassifier:
        """Builds the model of a preset.

        Args:
            preset: A name such as `bert_tiny_en_uncased`, a handle such as `hf://...` or `kaggle://...`, or a
                folder; a folder in the working directory goes before a name. Directories of Hugging Face are
                read, too.
            load_weights: Whether to read the weights, or draw fresh ones.
            num_classes: The number of classes, of a fresh head; None: the preset's own head.
            preprocessor: Makes token ids of texts; by default the preset's own, if it has one. None:
                nothing does.
            activation: What is put on the logits; None: as the preset says, else nothing.
            dropout: The dropout probability before the logits; None: as the preset says, else 0.1.
            compile: Whether to call `compile` with its defaults.

        Raises:
            CheckpointError: There is no such preset, it has no head and `num_classes` is not given, or its
                files are damaged.
        """
        folder = Encoders().folder(str(preset))
        saved = read_keras_model(folder) if is_keras(folder) else KerasModel(read_config(folder))
        head = None
        if num_classes is None:
            whole = _with_head(preset, folder, saved, load_weights)
            encoder, num_classes, head = whole.bert, whole.config.num_labels, whole.classifier
        else:
            encoder = BertModel.from_pretrained(folder) if load_weights else BertModel(saved.config)
        if dropout is None:
            dropout = saved.config.classifier_dropout
        if preprocessor == "auto":
            saved_without = is_keras(folder) and read_keras_tokenizer(folder) is None
            preprocessor = None if saved_without else BertTextClassifierPreprocessor.from_folder(folder)
        classifier = cls(
            BertBackbone.over(encoder),
            num_classes,
            preprocessor,
            activation or saved.activation,
            0.1 if dropout is None else dropout,
            compile=compile,
        )
        if head is not None:
            classifier.model.classifier.load_state_dict(head.state_dict())
        return classifier

    @property
    def backbone(self) -> BertBackbone:
        """The encoder; another one of the same width may be set."""
        return self._backbone

    @backbone.setter
    def backbone(self, backbone: BertBackbone) -> None:
        width, wanted = backbone.config.hidden_size, self._backbone.config.hidden_size
        if width != wanted:
            raise ValueError(f"the backbone's hidden_dim is {width}; expected {wanted}, as the head has")
        self._backbone = backbone
        self.model.bert = backbone.model

    def quantize(self, mode: str) -> None:
        """Makes the matrices of encoder and head int8, a quarter of their size; then it can only predict.

        Args:
            mode: `int8`.

        Raises:
            ValueError: The mode is another, the model is quantized already, or has LoRA enabled.
        """
        quantize(self.model, mode)

    def save_to_preset(
        self, preset_dir: str | Path, max_shard_size: float | None = MAX_SHARD_GIGABYTES
    ) -> None:
        """Writes a preset that KerasHub reads; updates of LoRA are merged.

        Args:
            preset_dir: Made where it does not exist.
            max_shard_size: A larger file of weights is cut into shards of that many gigabytes; None: never.

        Raises:
            CheckpointError: KerasHub has no such encoder or tokenizer.
            ValueError: The model is quantized, or its activation is a function, which no file can hold.
        """
        require_unquantized(self.model, "save_to_preset")
        if not isinstance(self.activation, str):
            raise ValueError("save_to_preset: the activation is a function; expected a name")
        head = {"num_labels": self.num_classes, "classifier_dropout": self.dropout}
        packing = self.preprocessor
        described = KerasModel(
            self.backbone.config.updated(head),
            "BertTextClassifier",
            self.activation,
            packing.sequence_length if packing else None,
            packing.truncate if packing else "round_robin",
        )
        write_keras_preset(
            Path(preset_dir),
            described,
            merged_tensors(self.model),
            packing.tokenizer.tokenizer if packing else None,
            max_shard_bytes=shard_bytes(max_shard_size),
        )


def _activation(activation: str | Activation) -> Activation:
    if not isinstance(activation, str):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation: {activation!r}; expected a function, or {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[activation]


def _with_head(
    preset: str | Path, folder: Path, saved: KerasModel, load_weights: bool
) -> BertForSequenceClassification:
    """Builds encoder and head of a preset that has a head.

    Raises:
        CheckpointError: It has none.
    """
    if load_weights:
        model = BertForSequenceClassification.from_pretrained(folder)
        has_head = model.load_report is not None and "classifier.weight" not in model.load_report.new
    else:
        model = BertForSequenceClassification(saved.config)
        has_head = saved.task == "BertTextClassifier"
    if not has_head:
        raise CheckpointError(f"{preset}: has an encoder, but no classification head; give num_classes")
    return model
