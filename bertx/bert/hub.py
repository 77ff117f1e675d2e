"""Checkpoints that are not folders here: on the Hugging Face hub, on Kaggle, or packed in a `.tar.gz`."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from bertx.bert.checkpoints.keras import is_keras
from bertx.bert.config import CONFIG_FILES
from bertx.bert.presets import HUB_SCHEME, KAGGLE_SCHEME, fetch_from_kaggle, hub_name
from bertx.errors import CheckpointError
from bertx.tar_gz import unpack

TOKENIZER_FILES = (
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
SAFETENSORS_FILES = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
PICKLED_FILES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")
KERAS_FILES = (
    "task.json",
    "preprocessor.json",
    "metadata.json",
    "assets/tokenizer/*",
    "*.weights.h5",
    "model.weights.json",
)
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")


def has_scheme(name: str) -> bool:
    """Tells whether a name says itself that it is elsewhere."""
    return name.startswith((HUB_SCHEME, KAGGLE_SCHEME))


def fetch(name: str, not_here: str) -> Path:
    """Fetches a checkpoint, or finds it in the hub's cache; only the files that are needed.

    Args:
        name: A name on the Hugging Face hub, a preset of KerasHub, `hf://...` or `kaggle://...`.
        not_here: What to say first if it is not found there either.

    Raises:
        CheckpointError: It is not found, or its place cannot be reached.
    """
    if name.startswith(KAGGLE_SCHEME):
        return fetch_from_kaggle(name)
    # On use: it takes a third of a second, and most runs never need it.
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    small, repository = [*CONFIG_FILES, *TOKENIZER_FILES], hub_name(name)
    try:
        patterns = [*small, *SAFETENSORS_FILES]
        folder = Path(huggingface_hub.snapshot_download(repository, allow_patterns=patterns))
        if not any(folder.glob("model*.safetensors")):  # PyTorch's files only if there are no others
            patterns = [*small, *(KERAS_FILES if is_keras(folder) else PICKLED_FILES)]
            folder = Path(huggingface_hub.snapshot_download(repository, allow_patterns=patterns))
    except HFValidationError:
        raise CheckpointError(f"{not_here}, and no name that the Hugging Face hub could know") from None
    except RepositoryNotFoundError:
        raise CheckpointError(
            f"{not_here}, and the Hugging Face hub has no public model of this name"
        ) from None
    except Exception as error:  # what a failed connection raises depends on the hub's version
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{not_here}, and the Hugging Face hub could not be reached: {reason}"
        ) from error
    return folder


def unpacked(path: Path) -> Path:
    """Returns the folder of a checkpoint; an archive is unpacked into one that is gone when the program ends.

    Raises:
        CheckpointError: The archive is damaged or unsafe.
    """
    suffix = next((suffix for suffix in ARCHIVE_SUFFIXES if path.name.endswith(suffix)), "")
    if not suffix or not path.is_file():
        return path
    temporary = tempfile.mkdtemp(prefix="bertx-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    # The archive's name may tell whether the tokenizer keeps case.
    folder = Path(temporary) / path.name.removesuffix(suffix)
    folder.mkdir()
    unpack(path, folder)
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
