"""The pretrained encoders that a config mentions: found by name, remembered, and saved with the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from bertx.atomic import write_json
from bertx.bert.checkpoints.formats import is_single_file, read_config, read_tokenizer
from bertx.bert.config import BertConfig
from bertx.bert.heads import BertForMaskedLM
from bertx.bert.hub import fetch, has_scheme, unpacked
from bertx.bert.initialization import WithoutInitialization
from bertx.bert.model import BertModel
from bertx.bert.pretrained import load_into
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import CheckpointError

SOURCES_FILE = "sources.json"
SOURCES_VERSION = 1


class Encoders:
    """Finds pretrained encoders and tokenizers by the names that configs give them.

    Args:
        search: Folders that relative names start from, tried in order: usually that of the config file, then
            the working directory. What is in none of them is looked up among the presets and on the Hugging
            Face hub, and so is what begins with `hf://`; `kaggle://` leads to Kaggle.

    Attributes:
        has_weights: False if weights are elsewhere and about to be read, so that none are to be looked for.
    """

    has_weights: ClassVar[bool] = True

    def __init__(self, search: Sequence[Path] = (Path(),)) -> None:
        self._search = tuple(search)
        self._paths: dict[str, Path] = {}
        self._models: dict[str, BertConfig] = {}
        self._tokenizers: set[str] = set()

    @staticmethod
    def saved(folder: Path) -> Encoders:
        """Opens what `save` wrote: the same names, without network; models come without their weights.

        Raises:
            CheckpointError: The folder holds nothing that `save` wrote, or a later version did.
        """
        return _SavedEncoders(folder)

    def folder(self, name: str) -> Path:
        """Finds the folder of an encoder (or its one file); fetches it from the hub if there is none here.

        Raises:
            CheckpointError: There is no folder of this name, here or on the hub.
        """
        path = self._path(name)
        if not path.is_dir() and not is_single_file(path):
            raise CheckpointError(f"{path}: not a folder; expected one with config.json and weights")
        return path

    def model(self, name: str | BertConfig, *, add_pooling_layer: bool = True) -> BertModel:
        """Builds an encoder with its pretrained weights, or a fresh one from its description.

        Raises:
            CheckpointError: The encoder is not found, or cannot be read.
        """
        if isinstance(name, BertConfig):
            return BertModel(name, add_pooling_layer)
        with WithoutInitialization():
            model = BertModel(self._config(name), add_pooling_layer)
        self._load(model, name)
        return model

    def masked_lm(self, name: str | BertConfig) -> BertForMaskedLM:
        """Builds an encoder with its pretraining head, with pretrained weights or fresh; see `model`.

        Raises:
            CheckpointError: The encoder is not found, or cannot be read.
        """
        if isinstance(name, BertConfig):
            return BertForMaskedLM(name)
        with WithoutInitialization():
            model = BertForMaskedLM(self._config(name))
        self._load(model, name)
        return model

    def tokenizer(self, name: str, do_lower_case: bool | None = None) -> BertTokenizer:
        """Builds the tokenizer of an encoder, or that of a vocabulary file.

        Args:
            name: A folder, a `vocab.txt`, or a name on the hub.
            do_lower_case: Whether to ignore case; None leaves that to the tokenizer's files.

        Raises:
            CheckpointError: The tokenizer is not found, or cannot be read.
        """
        tokenizer = read_tokenizer(self._path(name), do_lower_case)
        self._tokenizers.add(name)
        return tokenizer

    def take_sizes(self, other: Encoders) -> None:
        """Takes over what another found out about the sizes of encoders, to be saved under their names."""
        self._models |= other._models

    def save(self, folder: Path) -> None:
        """Writes config.json and tokenizer files of every name in use, for `Encoders.saved`.

        The first name's files go directly into the folder, further ones into `2`, `3` and so on.
        """
        folders: dict[str, str] = {}
        names = dict.fromkeys(name for name in (*self._paths, *self._models) if self._in_use(name))
        for number, name in enumerate(names, start=1):
            folders[name] = "." if number == 1 else str(number)
            if name in self._models:
                write_json(folder / folders[name] / "config.json", self._models[name].to_dict())
            if name in self._tokenizers:
                # Opened again, without the caller's wish about case: a saved run states that again.
                read_tokenizer(self._path(name)).save_pretrained(folder / folders[name])
        write_json(folder / SOURCES_FILE, {"version": SOURCES_VERSION, "folders": folders})

    def _config(self, name: str) -> BertConfig:
        self._models[name] = read_config(self.folder(name))
        return self._models[name]

    def _in_use(self, name: str) -> bool:
        return name in self._models or name in self._tokenizers

    def _load(self, model: BertModel | BertForMaskedLM, name: str) -> None:
        load_into(model, self.folder(name), model.config, name=name)

    def _path(self, name: str) -> Path:
        """Finds a folder or file once; later calls get the same."""
        if name not in self._paths:
            self._paths[name] = self._find(name)
        return self._paths[name]

    def _find(self, name: str) -> Path:
        if has_scheme(name):
            return fetch(name, f"{name}: not found")
        for root in self._search:
            path = root / Path(name).expanduser()
            if path.exists():
                return unpacked(path)
        looked_in = ", ".join(str(root.absolute()) for root in self._search)
        return fetch(name, f"{name}: neither a folder nor a file here (looked in {looked_in})")


class _SavedEncoders(Encoders):
    """Encoders of a run folder, whose weights are elsewhere in it."""

    has_weights: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        super().__init__(())
        self._root = folder
        self._folders = _read_sources(folder / SOURCES_FILE)

    def _load(self, model: BertModel | BertForMaskedLM, name: str) -> None:
        """Leaves the model without weights: the run's own are about to be read into it."""

    def _find(self, name: str) -> Path:
        if name not in self._folders:
            known = ", ".join(sorted(self._folders)) or "none"
            raise CheckpointError(
                f"{self._root}: encoder {name!r} was not saved with this run; saved: {known}"
            )
        return self._root / self._folders[name]


def _read_sources(path: Path) -> dict[str, str]:
    try:
        sources = json.loads(path.read_text(encoding="utf-8"))
        version, folders = sources["version"], sources["folders"]
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); expected what a run saved"
        ) from None
    except (ValueError, TypeError, KeyError):
        raise CheckpointError(
            f'{path}: not a list of encoders; expected {{"version": 1, "folders": {{...}}}}'
        ) from None
    if version != SOURCES_VERSION:
        raise CheckpointError(
            f"{path}: version {version} is not known here (known: {SOURCES_VERSION}); update bertx"
        )
    # A path that leads out of the run folder would let an archive read other files of this machine.
    if not isinstance(folders, dict) or not all(
        value == "." or str(value).isdigit() for value in folders.values()
    ):
        raise CheckpointError(
            f'{path}: folders is {json.dumps(folders)}; expected "." or a number for each name'
        )
    return {str(name): str(value) for name, value in folders.items()}
