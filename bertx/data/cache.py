"""From a file to an encoded data set, kept between runs under a key of all that decides its content."""

from __future__ import annotations

import gc
import hashlib
import inspect
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import numpy as np

from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.encoded import EncodedDataset
from bertx.data.encoding import ChunkEncoder
from bertx.data.files import require, shown
from bertx.data.storage import FORMAT_VERSION, DatasetWriter, open_dataset
from bertx.errors import DataError
from bertx.progress import Progress

CHUNK = 2_048  # instances that are strings at one time; more gains no speed
ABANDONED_SECONDS = 24 * 3600  # the age at which an unfinished entry is taken for one that a kill left behind
UNFINISHED = ".unfinished-"

logger = logging.getLogger(__name__)


def encode_file(
    reader: DatasetReader,
    path: Path,
    *,
    settings_hash: str | None,
    cache_folder: Path | None,
    limit: int | None = None,
) -> EncodedDataset:
    """Reads and encodes a file, or maps what an earlier run made of the same.

    Args:
        reader: Reads the file; its token indexers encode it.
        path: What the reader reads: mostly a file.
        settings_hash: Stands for the reader's settings in the key of the cache; `None`: they are not known,
            so the cache is not used.
        cache_folder: Holds the entries of the cache; `None`: nothing is kept after this run.
        limit: The number of instances to read at most; `None`: all.

    Raises:
        DataError: The file cannot be read, a record is wrong, or there is none.
    """
    entry = None
    if cache_folder is not None and settings_hash is not None:
        key = cache_key(reader, path, settings_hash=settings_hash, limit=limit)
        entry = None if key is None else cache_folder / key
    dataset = None if entry is None else _open_valid(entry, reader)
    if dataset is None:
        dataset = _encode(reader, path, entry, limit=limit)
    elif entry is not None:
        logger.info(f"{path.name}: {len(dataset):,} instances from the cache ({entry.name[:12]})")
    _warn_of_truncation(path.name, dataset)
    return dataset


def cache_key(reader: DatasetReader, path: Path, *, settings_hash: str, limit: int | None) -> str | None:
    """Hashes all that decides what `encode_file` makes: 64 hexadecimal digits.

    That is: format, contents of the files (not their dates), the reader's settings and source code, the
    token indexers, the limit. `None` if the reader has no source file, so that a change would be missed.

    Raises:
        DataError: A file cannot be read.
    """
    parts = [f"version {FORMAT_VERSION}", f"limit {limit}", f"settings {settings_hash}"]
    for cls in [cls for each in (reader, *reader.inner) for cls in type(each).__mro__]:
        if issubclass(cls, DatasetReader):
            try:
                source = Path(inspect.getfile(cls)).read_bytes()
            except (OSError, TypeError):
                logger.info(f"{path.name}: {cls.__qualname__} has no source file; encoded without the cache")
                return None
            parts.append(f"reader {cls.__qualname__} {hashlib.sha256(source).hexdigest()}")
    for index, indexer in reader.token_indexers.items():
        parts.append(f"indexer {index} {type(indexer).__qualname__} {indexer.fingerprint()}")
    for file in reader.files(path):
        name = file.relative_to(path) if file.is_relative_to(path) else file.name
        parts.append(f"file {name} {_content_hash(file)}")
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _content_hash(file: Path) -> str:
    require(file)
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{shown(file)}: cannot be read ({error.strerror}); expected a data file") from None


def _encode(reader: DatasetReader, path: Path, entry: Path | None, *, limit: int | None) -> EncodedDataset:
    started = time.perf_counter()
    folder = _new_folder(entry)
    try:
        _write(reader, path, folder, limit=limit)
        dataset = _published(folder, entry, reader)
    finally:
        _remove(folder)
    seconds = time.perf_counter() - started
    logger.info(f"{path.name}: encoded {len(dataset):,} instances in {seconds:.1f} s")
    return dataset


def _write(reader: DatasetReader, path: Path, folder: Path, *, limit: int | None) -> None:
    encoder = ChunkEncoder(reader.token_indexers)
    writer = DatasetWriter(folder)
    instances = islice(reader.read(path), limit)
    rows = 0
    try:
        with Progress(f"encode {path.name}", limit, unit="instances") as progress, _collecting_by_hand():
            while chunk := list(islice(instances, CHUNK)):
                try:
                    writer.append(encoder.encode(chunk))
                except DataError as error:
                    raise DataError(f"{path.name}: {error}") from error
                rows += len(chunk)
                progress.advance(len(chunk))
                gc.collect(0)  # what a reader of the user's own may leave
        if rows == 0:
            raise DataError(f"{shown(path)}: no instances; expected at least one record")
        writer.close()
    finally:
        writer.abandon()


@contextmanager
def _collecting_by_hand() -> Iterator[None]:
    """Keeps Python from walking over all that torch has imported again and again: half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _new_folder(entry: Path | None) -> Path:
    """Makes a folder to write in: beside the entry, or a temporary one where that is not possible."""
    if entry is not None:
        folder = entry.with_name(f"{UNFINISHED}{uuid.uuid4().hex}")
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(entry.parent.glob(f"{UNFINISHED}*"))
            folder.mkdir()
            return folder
        except OSError as error:
            logger.warning(
                f"{entry.parent}: the cache cannot be written ({error.strerror}); going on without it, so "
                f"the next run encodes the data again"
            )
    return Path(tempfile.mkdtemp(prefix="bertx-"))


def _published(folder: Path, entry: Path | None, reader: DatasetReader) -> EncodedDataset:
    """Makes a written folder the entry, unless another process was faster, and opens it."""
    if entry is not None and folder.parent == entry.parent:
        with suppress(OSError):  # an entry of the same content is there already
            os.rename(folder, entry)
            folder = entry
    return open_dataset(folder, reader.token_indexers)


def _open_valid(entry: Path, reader: DatasetReader) -> EncodedDataset | None:
    """Opens an entry; one that is broken is moved out of the way."""
    if not entry.exists():
        return None
    try:
        return open_dataset(entry, reader.token_indexers)
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning(f"{entry}: this entry of the cache is broken ({error}); the data is encoded again")
    broken = entry.with_name(f"{UNFINISHED}{uuid.uuid4().hex}")
    try:
        os.rename(entry, broken)
        _remove(broken)
    except OSError as error:
        logger.warning(f"{entry}: cannot be removed ({error.strerror}); remove it by hand")
    return None


def _remove(folder: Path) -> None:
    """Removes a folder; arrays that are mapped from it stay readable, where the system allows the removal."""
    shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(folders: Iterable[Path]) -> None:
    for folder in folders:
        if time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
            _remove(folder)


def _warn_of_truncation(name: str, dataset: EncodedDataset) -> None:
    for field, by_indexer in dataset.texts.items():
        for indexer, indexed in by_indexer.items():
            rows, lost = dataset.truncated(field, indexer)
            if rows:
                longest = np.diff(indexed.offsets).max()
                how = dataset.token_indexers[indexer].truncation
                logger.warning(
                    f"{name}: {rows:,} of {len(dataset):,} texts ({100 * rows / len(dataset):.1f} %) were "
                    f"longer than {longest} pieces and lost {lost:,} pieces ({how})"
                )
