"""Readers that read a part of one file, and other files whole: for cross-validation and learning curves."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.instance import JSON, Instance
from bertx.errors import ConfigError, DataError


class PartReader(DatasetReader):
    """Leaves out records of one file; what is in the part does not depend on the order of its labels.

    Args:
        reader: Reads the records.
        path: The file that a part is taken of.
        stratify: The key of a record whose values the part has in the shares that the file has; None:
            chance alone decides.
        seed: Decides which records those are.
    """

    def __init__(
        self, reader: DatasetReader, path: Path, *, stratify: str | None = None, seed: int = 0
    ) -> None:
        super().__init__(reader.token_indexers)
        self.reader, self.path, self.stratify, self.seed = reader, path, stratify, seed
        self.text_key, self.label_key = reader.text_key, reader.label_key

    @property
    def inner(self) -> Sequence[DatasetReader]:
        """The reader whose records these are."""
        return (self.reader,)

    def records(self, path: Path) -> Iterator[tuple[str, dict[str, JSON]]]:
        """Streams the records of the part, or all of another file.

        Raises:
            DataError: The file cannot be read, or a record lacks what the part is stratified by.
        """
        if path.resolve() != self.path.resolve():
            yield from self.reader.records(path)
            return
        wanted = self._wanted(path)
        for number, found in enumerate(self.reader.records(path)):
            if wanted[number]:
                yield found

    def text_to_instance(self, record: Mapping[str, JSON]) -> Instance:
        """Makes an instance of a record."""
        return self.reader.text_to_instance(record)

    def files(self, path: Path) -> list[Path]:
        """Lists the files that `records` would read."""
        return self.reader.files(path)

    @abstractmethod
    def chosen(self, position: int, size: int, before: int) -> bool:
        """Tells whether a record is in the part.

        Args:
            position: Its place, from 0, in a random order of its stratum.
            size: How many records the stratum has.
            before: How many records the strata before have.
        """

    def _wanted(self, path: Path) -> list[bool]:
        strata: dict[str, list[int]] = {}
        count = 0
        for place, record in self.reader.records(path):
            if self.stratify is not None and self.stratify not in record:
                raise DataError(f'{place}: "{self.stratify}" is missing, by which the data are stratified')
            key = "" if self.stratify is None else json.dumps(record[self.stratify], sort_keys=True)
            strata.setdefault(key, []).append(count)
            count += 1
        wanted, before = [False] * count, 0
        for number, key in enumerate(sorted(strata)):
            rows = strata[key]
            order = np.random.default_rng([self.seed, number]).permutation(len(rows)).tolist()
            for position, row in enumerate(order):
                wanted[rows[row]] = self.chosen(position, len(rows), before)
            before += len(rows)
        return wanted


@DatasetReader.register("fold")
class FoldReader(PartReader):
    """Reads all of a file but one of k parts, or that part alone.

    Args:
        reader: Reads the records.
        path: The file that is cut into parts; others are read whole.
        k: The number of parts.
        fold: Which part, from 0.
        held_out: Whether to read that part alone, rather than all the others.
        stratify: The key of a record, such as `label`, whose values all parts have in equal shares; None:
            chance alone decides.
        seed: Decides which records are in which part.

    Raises:
        ConfigError: There is no such part.
    """

    def __init__(
        self,
        reader: DatasetReader,
        path: Path,
        k: int,
        fold: int,
        *,
        held_out: bool = False,
        stratify: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(reader, path, stratify=stratify, seed=seed)
        if k < 2 or not 0 <= fold < k:
            raise ConfigError(f"fold: {fold} of k = {k}; expected k of 2 or more, and 0 to k - 1")
        self.k, self.fold, self.held_out = k, fold, held_out

    def chosen(self, position: int, size: int, before: int) -> bool:
        """Tells whether a record is in the part; see `PartReader`."""
        # Strata go on where the one before ended, so that no part is larger than another by more than one.
        return ((before + position) % self.k == self.fold) == self.held_out


@DatasetReader.register("fraction")
class FractionReader(PartReader):
    """Reads a part of a file; a smaller part with the same seed lies within a larger one.

    Args:
        reader: Reads the records.
        path: The file; others are read whole.
        fraction: How much of it, above 0 and up to 1; at least one record of each stratum is read.
        stratify: The key of a record, such as `label`, whose values the part has in the shares that the file
            has; None: chance alone decides.
        seed: Decides which records are in the part.

    Raises:
        ConfigError: The fraction is out of its range.
    """

    def __init__(
        self,
        reader: DatasetReader,
        path: Path,
        fraction: float,
        *,
        stratify: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(reader, path, stratify=stratify, seed=seed)
        if not 0 < fraction <= 1:
            raise ConfigError(f"fraction: {fraction:g}; expected more than 0 and at most 1")
        self.fraction = fraction

    def chosen(self, position: int, size: int, before: int) -> bool:
        """Tells whether a record is in the part; see `PartReader`."""
        return position < max(1, round(self.fraction * size))
