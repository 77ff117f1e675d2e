"""What all models share: they come from a checkpoint, and go into one."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from torch import nn

from bertx.bert.config import BertConfig, ProblemType
from bertx.bert.initialization import WithoutInitialization, initialize

if TYPE_CHECKING:
    from bertx.bert.checkpoints.huggingface import LoadReport
    from bertx.bert.tokenization.tokenizer import BertTokenizer

logger = logging.getLogger(__name__)


class Saved(nn.Module, ABC):
    """Base of every model that goes into a checkpoint.

    Attributes:
        architecture: The model's name in a `config.json`.
        load_report: What became of the tensors of the checkpoint that the model came from.
    """

    architecture: str
    load_report: LoadReport | None = None

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """Returns the keys of the model's `config.json`."""

    def save_pretrained(self, folder: str | Path, tokenizer: BertTokenizer | None = None) -> None:
        """Writes config.json, weights and tokenizer files as Hugging Face has them.

        Raises:
            DataError: A file cannot be written.
        """
        # On use, here and below: what reads and writes files imports the models.
        from bertx.bert.checkpoints.huggingface import write_directory

        write_directory(self, Path(folder), tokenizer)


class Pretrained(Saved):
    """Base of the models that a `BertConfig` describes.

    Args:
        config: Sizes and rates.
    """

    config: BertConfig

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.architecture = type(self).__name__

    def settings(self) -> dict[str, object]:
        """Returns the keys of the model's `config.json`."""
        return self.config.to_dict()

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        config: BertConfig | None = None,
        num_labels: int | None = None,
        id2label: Mapping[int, str] | None = None,
        problem_type: ProblemType | None = None,
        ignore_mismatched_sizes: bool = False,
    ) -> Self:
        """Builds a model with pretrained weights, in evaluation mode.

        What the checkpoint lacks of a head is fresh, and said so in the log and in `load_report`.

        Args:
            name: A folder, or a name on the hub.
            config: In place of the checkpoint's own; see `BertConfig.updated`.
            num_labels: Number of classes, in place of the checkpoint's. This and what follows: None means
                as the config says.
            id2label: Name of each class.
            problem_type: What the labels are.
            ignore_mismatched_sizes: Whether a tensor of another shape than the config says is fresh, too,
                rather than an error.

        Raises:
            CheckpointError: The checkpoint is not found, or cannot be read.
            ConfigError: A setting is impossible.
        """
        from bertx.bert.checkpoints.formats import read_config
        from bertx.bert.encoders import Encoders

        folder = Encoders().folder(str(name))
        wanted = {"num_labels": num_labels, "id2label": id2label, "problem_type": problem_type}
        changes = {key: value for key, value in wanted.items() if value is not None}
        config = (config or read_config(folder)).updated(changes)
        with WithoutInitialization():
            model = cls(config)
        load_into(model, folder, config, ignore_mismatched_sizes=ignore_mismatched_sizes)
        return model.eval()


def load_into(
    model: Saved,
    folder: Path,
    config: BertConfig,
    *,
    name: str | None = None,
    ignore_mismatched_sizes: bool = False,
) -> None:
    """Reads weights into a model that has none; those that the folder lacks are drawn.

    Args:
        model: The model.
        folder: The checkpoint.
        config: How fresh weights are drawn.
        name: What the checkpoint is called in the log; None: as its folder.
        ignore_mismatched_sizes: Whether a tensor of another shape is left out rather than an error.

    Raises:
        CheckpointError: The weights cannot be read, or do not fit.
    """
    from bertx.bert.checkpoints.huggingface import load_weights, parameters_by_name

    report = load_weights(model, folder, ignore_mismatched_sizes=ignore_mismatched_sizes)
    parameters = parameters_by_name(model)
    fresh = {id(parameters[name]) for name in (*report.new, *report.misshapen)}
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if any(id(parameter) in fresh for parameter in own):
            loaded = [(kept, kept.detach().clone()) for kept in own if id(kept) not in fresh]
            initialize(module, config)
            for parameter, value in loaded:
                parameter.data.copy_(value)
    model.load_report = report
    level = logging.WARNING if fresh else logging.INFO
    logger.log(level, "%s: %s", name or folder, report.summary())
