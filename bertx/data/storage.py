"""The files of an encoded data set: raw columns that grow chunk by chunk, and a manifest written last.

manifest.json               what the columns are, and the size of each file in bytes
text-0-0.input_ids          little-endian numbers without header, one file per array of `Indexed`
label-0.codes
metadata-0.text, .offsets
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, TypedDict

import numpy as np

from bertx.data.encoded import NO_LABEL, EncodedDataset, LabelColumn, MetadataColumn
from bertx.data.token_indexers.token_indexer import Indexed, Ints, TokenIndexer

FORMAT_VERSION = 1
"""Raised with every change of the files or of the meaning of their numbers."""

MANIFEST = "manifest.json"
TYPES = {
    "input_ids": "<i4",
    "offsets": "<i8",
    "first_lengths": "<i4",
    "full_lengths": "<i4",
    "codes": "<i4",
    "text": "|u1",
}
PARTS_OF_TEXT = ("input_ids", "offsets", "first_lengths", "full_lengths")


class LabelEntry(TypedDict):
    """How the manifest describes a label field."""

    file: str
    namespace: str
    labels: list[str]


class Manifest(TypedDict):
    """What the files of a folder are; file names are given without the part's suffix."""

    version: int
    num_rows: int
    texts: dict[str, dict[str, str]]
    labels: dict[str, LabelEntry]
    metadata: dict[str, str]
    sizes: dict[str, int]


class DatasetWriter:
    """Writes an encoded data set chunk by chunk; the manifest makes it valid.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._streams: dict[str, BinaryIO] = {}
        self._manifest = Manifest(
            version=FORMAT_VERSION, num_rows=0, texts={}, labels={}, metadata={}, sizes={}
        )

    def append(self, chunk: EncodedDataset) -> None:
        """Appends the rows of a chunk."""
        for name, by_indexer in chunk.texts.items():
            files = self._manifest["texts"].setdefault(name, {})
            field = list(self._manifest["texts"]).index(name)
            for indexer, indexed in by_indexer.items():
                file = files.setdefault(indexer, f"text-{field}-{len(files)}")
                self._append_ragged(file, "input_ids", indexed.input_ids, indexed.offsets)
                self._append(f"{file}.first_lengths", indexed.first_lengths)
                self._append(f"{file}.full_lengths", indexed.full_lengths)
        self._append_labels(chunk)
        self._append_metadata(chunk)
        self._manifest["num_rows"] += len(chunk)

    def close(self) -> None:
        """Closes the columns and writes the manifest; without it the folder is no data set."""
        for file, stream in self._streams.items():
            self._manifest["sizes"][file] = stream.tell()
            stream.close()
        temporary = self._folder / f".{MANIFEST}"
        temporary.write_text(json.dumps(self._manifest), encoding="utf-8")
        os.replace(temporary, self._folder / MANIFEST)

    def abandon(self) -> None:
        """Closes the columns without a manifest."""
        for stream in self._streams.values():
            stream.close()

    def _append_labels(self, chunk: EncodedDataset) -> None:
        entries = self._manifest["labels"]
        for name, column in chunk.labels.items():
            if name not in entries:  # the first label of the file comes late
                entry = LabelEntry(file=f"label-{len(entries)}", namespace=column.namespace, labels=[])
                entries[name] = entry
                self._append(f"{entry['file']}.codes", np.full(self._manifest["num_rows"], NO_LABEL))
            entries[name]["labels"] = list(column.labels)
        for name, entry in entries.items():
            codes = chunk.labels[name].codes if name in chunk.labels else np.full(len(chunk), NO_LABEL)
            self._append(f"{entry['file']}.codes", codes)

    def _append_metadata(self, chunk: EncodedDataset) -> None:
        files = self._manifest["metadata"]
        nothing = np.zeros(0, np.uint8)
        for name in chunk.metadata:
            if name not in files:
                files[name] = f"metadata-{len(files)}"
                offsets = np.zeros(self._manifest["num_rows"] + 1, np.int64)
                self._append_ragged(files[name], "text", nothing, offsets)
        for name, file in files.items():
            column = chunk.metadata.get(name, MetadataColumn(nothing, np.zeros(len(chunk) + 1, np.int64)))
            self._append_ragged(file, "text", column.text, column.offsets)

    def _append_ragged(self, file: str, part: str, values: Ints, offsets: Ints) -> None:
        if f"{file}.offsets" not in self._streams:
            self._append(f"{file}.offsets", offsets[:1])
            self._append(f"{file}.{part}", values[:0])
        before = self._streams[f"{file}.{part}"].tell() // np.dtype(TYPES[part]).itemsize
        self._append(f"{file}.offsets", offsets[1:] + before)
        self._append(f"{file}.{part}", values)

    def _append(self, file: str, values: Ints) -> None:
        if file not in self._streams:
            self._streams[file] = (self._folder / file).open("wb")
        self._streams[file].write(np.ascontiguousarray(values, TYPES[file.rpartition(".")[2]]).data)


def open_dataset(folder: Path, token_indexers: Mapping[str, TokenIndexer]) -> EncodedDataset:
    """Maps the files of a folder into memory.

    Raises:
        OSError: The folder, or a file of it, is missing.
        ValueError: The folder is not of this version, or a file is not of the size it was written with.
    """
    manifest: Manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if manifest["version"] != FORMAT_VERSION:
        raise ValueError(f"{MANIFEST} is of version {manifest['version']}; expected {FORMAT_VERSION}")
    for file, size in manifest["sizes"].items():
        found = (folder / file).stat().st_size
        if found != size:
            raise ValueError(f"{file} has {found:,} bytes; expected {size:,}")
    return EncodedDataset(
        manifest["num_rows"],
        {
            name: {indexer: _indexed(folder / file) for indexer, file in files.items()}
            for name, files in manifest["texts"].items()
        },
        {
            name: LabelColumn(_mapped(folder / entry["file"], "codes"), entry["labels"], entry["namespace"])
            for name, entry in manifest["labels"].items()
        },
        {
            name: MetadataColumn(_mapped(folder / file, "text"), _mapped(folder / file, "offsets"))
            for name, file in manifest["metadata"].items()
        },
        token_indexers,
    )


def _indexed(file: Path) -> Indexed:
    return Indexed(*(_mapped(file, part) for part in PARTS_OF_TEXT))


def _mapped(file: Path, part: str) -> Ints:
    path = file.with_name(f"{file.name}.{part}")
    if path.stat().st_size == 0:  # nothing cannot be mapped
        return np.zeros(0, TYPES[part])
    # A plain array: indexing an np.memmap costs several times as much.
    return np.memmap(path, TYPES[part], mode="r").view(np.ndarray)
