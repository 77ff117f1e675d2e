"""Reads the config, the weights and the tokenizer of a checkpoint, whichever of the known formats it has.

| checkpoint | told by |
|---|---|
| KerasHub preset, `.keras` file | `registered_name` in config.json; the suffix |
| Google's TensorFlow checkpoint | `NAME.index` beside `bert_config.json`, without weights of Hugging Face |
| Hugging Face directory | everything else |
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from bertx.bert.checkpoints.keras import is_keras, read_keras_model, read_keras_tensors, read_keras_tokenizer
from bertx.bert.checkpoints.tensorflow import find_index, read_tensorflow_tensors
from bertx.bert.checkpoints.weight_files import WEIGHT_FILES
from bertx.bert.checkpoints.weight_files import read_tensors as read_huggingface_tensors
from bertx.bert.config import BertConfig
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import CheckpointError


def is_single_file(path: Path) -> bool:
    """Tells whether a path is a file that names a checkpoint: a `.keras` or TensorFlow's `NAME.index`."""
    return path.is_file() and path.suffix in (".keras", ".index")


def read_config(path: Path) -> BertConfig:
    """Reads the sizes and rates of a checkpoint.

    Raises:
        CheckpointError: Its files are missing or damaged, or describe no BERT.
    """
    if is_keras(path):
        return read_keras_model(path).config
    return BertConfig.from_folder(path if path.is_dir() else path.parent)


def read_tensors(path: Path) -> tuple[Path, dict[str, Tensor]]:
    """Reads the weights of a checkpoint.

    Returns:
        The file (of shards: their index) and the tensors by their names in files of Hugging Face.

    Raises:
        CheckpointError: There are no weights, or they are damaged or incomplete.
    """
    if is_keras(path):
        return read_keras_tensors(path)
    index = _tensorflow_index(path)
    return (index, read_tensorflow_tensors(index)) if index else read_huggingface_tensors(path)


def read_tokenizer(path: Path, do_lower_case: bool | None = None) -> BertTokenizer:
    """Builds the tokenizer of a checkpoint, or that of a vocabulary file.

    Args:
        path: The checkpoint or file.
        do_lower_case: Whether to ignore case; None leaves that to the files, and last to the name.

    Raises:
        CheckpointError: The files are missing, damaged, or those of another kind of tokenizer.
        DataError: The vocabulary is empty, has a piece twice, or lacks a special token.
    """
    if is_keras(path):
        tokenizer = read_keras_tokenizer(path, do_lower_case)
        if tokenizer is None:
            raise CheckpointError(
                f"{path}: saved without a tokenizer; name another checkpoint's or a vocab.txt"
            )
        return tokenizer
    if _tensorflow_index(path) is None:
        return BertTokenizer.from_pretrained(path, do_lower_case)
    folder = path if path.is_dir() else path.parent
    if do_lower_case is None and re.search("(?<!un)cased", folder.resolve().name):
        do_lower_case = False  # Google's releases say so by their names alone, such as multi_cased_L-12_H-768
    return BertTokenizer.from_pretrained(folder, do_lower_case)


def _tensorflow_index(path: Path) -> Path | None:
    if path.is_dir() and any((path / name).is_file() for name in WEIGHT_FILES):
        return None
    return find_index(path)
