"""KerasHub's presets and Keras's archives: folders and `.keras` files, read and written without Keras.

| file of a preset | holds |
|---|---|
| `config.json` | the backbone |
| `task.json`, `preprocessor.json`, `tokenizer.json` | the model with its head, and its parts |
| `model.weights.h5`, or `model.weights.json` with shards | weights of the backbone |
| `task.weights.h5` | weights of the head |
| `assets/tokenizer/vocabulary.txt` | pieces, one per line |
| `metadata.json` | versions and a count of parameters |

A `.keras` file is a zip archive of one model: `config.json` is the task with all its parts, and
`model.weights.h5` holds backbone and head.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from bertx.atomic import replacing, write_json, write_text
from bertx.bert.checkpoints.keras_h5 import (
    MAX_SHARD_BYTES,
    MODEL_FILE,
    read_model_weights,
    read_stream,
    read_weights_file,
    write_model_weights,
    write_stream,
    write_weights_file,
)
from bertx.bert.checkpoints.keras_names import (
    BACKBONE_IN_TASK,
    BACKBONE_NAMES,
    CLASSIFIER_NAMES,
    MASKED_LM_NAMES,
    from_keras,
    keras_owner,
    to_keras,
)
from bertx.bert.checkpoints.keras_objects import (
    ACTIVATION,
    KerasModel,
    Task,
    backbone_object,
    nested,
    preprocessor_object,
    read_model,
    read_tokenizer,
    task_object,
    tokenizer_object,
)
from bertx.bert.tokenization.json_settings import JsonObject
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.bert.tokenization.wordpiece_vocab import read_vocab, vocab_text
from bertx.errors import CheckpointError

logger = logging.getLogger(__name__)

TASK_WEIGHTS_FILE = "task.weights.h5"
VOCABULARY_FILE = "assets/tokenizer/vocabulary.txt"
VOCABULARY_IN_ARCHIVE = "assets/preprocessor/tokenizer/vocabulary.txt"
TASK_NAMES: Mapping[Task, Mapping[str, str]] = {
    "BertTextClassifier": CLASSIFIER_NAMES,
    "BertMaskedLM": MASKED_LM_NAMES,
}
# An Adam that has made no step, as KerasHub compiles a new model with; without it Keras warns.
FRESH_OPTIMIZER: Mapping[str, Tensor] = {
    "optimizer/vars/0": torch.tensor(0, dtype=torch.int32),
    "optimizer/vars/1": torch.tensor(5e-5),
}
BLOCK = 2**20
# Whose format is written.
METADATA: Mapping[str, str] = {"keras_version": "3.15.1", "keras_hub_version": "0.32.0"}


def is_keras(path: Path) -> bool:
    """Tells whether a path is a `.keras` file, or a folder whose config.json is an object of Keras."""
    if not path.is_dir():
        return path.suffix == ".keras" and path.is_file()
    config = path / "config.json"
    return config.is_file() and "registered_name" in _read_object(config)


def read_keras_model(path: Path) -> KerasModel:
    """Reads what the JSON files of a preset or archive say.

    Raises:
        CheckpointError: They are damaged, or describe no BERT.
    """
    with _opened(path) as root:
        backbone, task, preprocessor, _ = _objects(path, root)
        return read_model(path, backbone, task, preprocessor)


def read_keras_tensors(path: Path) -> tuple[Path, dict[str, Tensor]]:
    """Reads the weights of a preset or archive, its head included.

    Returns:
        The file of the weights, and the tensors by their names in files of Hugging Face, without `bert.`.

    Raises:
        CheckpointError: The files are damaged or incomplete, or describe no BERT; h5py is not installed.
    """
    heads = read_keras_model(path).config.num_attention_heads
    if not path.is_dir():
        with _opened(path) as root, (root / MODEL_FILE).open("rb") as stream:
            return path, from_keras(path, read_stream(path, stream), heads)
    file, variables = read_model_weights(path)
    tensors = from_keras(file, variables, heads)
    head = path / TASK_WEIGHTS_FILE
    if head.is_file():
        tensors |= from_keras(head, read_weights_file(head), heads, is_task=True)
    return file, tensors


def read_keras_tokenizer(path: Path, do_lower_case: bool | None = None) -> BertTokenizer | None:
    """Builds the tokenizer of a preset or archive; None if it was saved without one.

    Args:
        path: The preset or archive.
        do_lower_case: Whether to ignore case; None: as the preset says.

    Raises:
        CheckpointError: Its files are damaged, or those of another kind of tokenizer.
        DataError: The vocabulary is empty, has a piece twice, or lacks a special token.
    """
    with _opened(path) as root:
        tokenizer = _objects(path, root)[3]
        if tokenizer is None:
            return None
        vocabulary = root.joinpath(VOCABULARY_FILE if path.is_dir() else VOCABULARY_IN_ARCHIVE)
        return read_tokenizer(path, tokenizer, read_vocab(vocabulary), do_lower_case)


def write_keras_preset(
    folder: Path,
    model: KerasModel,
    tensors: Mapping[str, Tensor],
    tokenizer: BertTokenizer | None = None,
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Writes a preset as KerasHub reads it.

    Args:
        folder: Made where it does not exist.
        model: What to write into the JSON files.
        tensors: By their names in files of Hugging Face, without `bert.`, on the CPU; those that KerasHub has
            no place for are left out.
        tokenizer: None: a preset without tokenizer and preprocessor.
        max_shard_bytes: A larger file of weights is cut into shards.

    Raises:
        CheckpointError: KerasHub has no such encoder or tokenizer; h5py is not installed.
    """
    described_backbone, task, preprocessor, described = _described(model, tokenizer)
    backbone = to_keras(tensors, model.config.num_attention_heads, BACKBONE_NAMES)
    write_model_weights(folder, backbone, max_shard_bytes)
    if task is not None:
        write_weights_file(folder / TASK_WEIGHTS_FILE, _head(model, tensors))
        write_json(folder / "task.json", task)
    if tokenizer is not None:
        write_text(folder / VOCABULARY_FILE, vocab_text(tokenizer.get_vocab()))
        write_json(folder / "tokenizer.json", described)
    if preprocessor is not None:
        write_json(folder / "preprocessor.json", preprocessor)
    count = sum(variable.numel() for variable in backbone.values())
    tasks = ["MaskedLM", "TextClassifier"]
    write_json(folder / "metadata.json", {**METADATA, "parameter_count": count, "tasks": tasks})
    write_json(folder / "config.json", described_backbone)


def write_keras_archive(
    path: Path, model: KerasModel, tensors: Mapping[str, Tensor], tokenizer: BertTokenizer | None = None
) -> None:
    """Writes a `.keras` file as Keras reads it; arguments and errors are those of `write_keras_preset`."""
    backbone, task, _, _ = _described(model, tokenizer)
    variables = to_keras(tensors, model.config.num_attention_heads, BACKBONE_NAMES)
    if task is not None:
        variables = {f"{BACKBONE_IN_TASK}{name}": variable for name, variable in variables.items()}
        variables |= _head(model, tensors)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr("metadata.json", json.dumps(METADATA))
        archive.writestr("config.json", json.dumps(task or backbone))
        if task is not None and tokenizer is not None:
            archive.writestr(VOCABULARY_IN_ARCHIVE, vocab_text(tokenizer.get_vocab()))
        # HDF5 is written back and forth, an archive only forth.
        with tempfile.TemporaryFile(dir=path.parent) as stream:
            write_stream(stream, variables)
            stream.seek(0)
            with archive.open(MODEL_FILE, "w", force_zip64=True) as member:
                shutil.copyfileobj(stream, member, BLOCK)


def without_place(model: KerasModel, tensors: Iterable[str]) -> list[str]:
    """Returns the names, sorted, of tensors that KerasHub has no place for in such a model."""
    heads = TASK_NAMES[model.task] if model.task else {}
    return sorted(
        name for name in tensors if not keras_owner(name, BACKBONE_NAMES) and not keras_owner(name, heads)
    )


def _head(model: KerasModel, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = TASK_NAMES[model.task] if model.task else {}
    return {**to_keras(tensors, model.config.num_attention_heads, names), **FRESH_OPTIMIZER}


_Objects: TypeAlias = tuple[JsonObject, JsonObject | None, JsonObject | None, JsonObject | None]
"""Those of a backbone, and where there are such, of a task, a preprocessor and a tokenizer."""


@contextmanager
def _opened(path: Path) -> Iterator[Traversable]:
    """Opens a preset or an archive as a folder."""
    if path.is_dir():
        yield path
        return
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = [item.filename for item in archive.infolist() if item.compress_type]
            if compressed:  # a small file of this kind could unpack to any size
                raise CheckpointError(
                    f"{path}: {compressed[0]} is compressed in it; expected files as Keras stores them"
                )
            yield zipfile.Path(archive)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, KeyError) as error:
        raise CheckpointError(f"{path}: not a readable .keras file ({error}); it may be cut short") from error


def _objects(path: Path, root: Traversable) -> _Objects:
    config = _read_object(root / "config.json")
    if path.is_dir():
        parts = ("task.json", "preprocessor.json", "tokenizer.json")
        found = [_read_object(root / part) if (root / part).is_file() else None for part in parts]
        return config, found[0], found[1], found[2]
    backbone = nested(path, config, "backbone")
    if backbone is None:
        return config, None, None, None
    preprocessor = nested(path, config, "preprocessor")
    return backbone, config, preprocessor, nested(path, preprocessor, "tokenizer") if preprocessor else None


def _read_object(file: Traversable) -> JsonObject:
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror or 'not there'})") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not JSON ({error}); expected an object of Keras") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{file}: holds a {type(value).__name__}; expected an object of Keras")
    return value


def _described(model: KerasModel, tokenizer: BertTokenizer | None) -> _Objects:
    """Describes a model and its tokenizer.

    Raises:
        CheckpointError: KerasHub has no such encoder or tokenizer.
    """
    if model.config.hidden_act != ACTIVATION:
        logger.warning(
            "this model computes %s, KerasHub the tanh approximation of gelu: logits will differ slightly",
            model.config.hidden_act,
        )
    if model.task == "BertMaskedLM" and model.config.prediction_head != "keras_hub":
        logger.warning(
            "KerasHub computes the head with gelu and 1e-5 in its layer normalisation, this model with what "
            "its encoder has: logits will differ slightly"
        )
    backbone = backbone_object(model.config)
    described = tokenizer_object(tokenizer) if tokenizer is not None else None
    preprocessor = preprocessor_object(model, described) if described and model.task else None
    task = task_object(model, model.task, preprocessor) if model.task else None
    return backbone, task, preprocessor, described
