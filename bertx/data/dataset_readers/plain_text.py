"""Running text without labels, for masked language modelling."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import cycle
from pathlib import Path

from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.dataset_readers.text_classification_reader import text_of
from bertx.data.files import (
    COMPRESSIONS,
    archive_members,
    is_archive,
    numbered_lines,
    open_lines,
    require,
    shown,
)
from bertx.data.instance import JSON, Instance, TextField
from bertx.data.token_indexers.token_indexer import TokenIndexer
from bertx.errors import ConfigError, DataError

TEXT_NAMES = ("*.txt", *(f"*.txt{suffix}" for suffix in COMPRESSIONS))


@DatasetReader.register("plain_text")
class PlainTextReader(DatasetReader):
    """Cuts text files into instances of given numbers of words.

    It reads a text file (`.txt`, `.txt.gz`, ...), all text files below a folder, those that a glob pattern
    such as `books/*.txt` finds, or those in a tar archive (`.tar`, `.tar.gz`, `.tar.xz`), which is streamed
    and never unpacked to disk. Lines and paragraphs are joined; an instance never reaches across two files.
    There are no labels.

    Args:
        token_indexers: How texts become token ids, by the name under which a model asks for them.
        words_per_instance: Words, as split by white space, of each instance; the last of a file may have
            fewer. 96 words of English prose are about 125 word pieces. Of several numbers each has its turn.
        include: Glob patterns of the names to read in a folder or archive, matched against the name inside
            it (`poetry/keats.txt`) and against its last part; `None` means all `.txt` files, or all that a
            glob pattern finds. A file that is named itself is always read.
        exclude: Patterns of the names to leave out, such as those held out for validation.

    Raises:
        ConfigError: `words_per_instance` is below 1.
    """

    def __init__(
        self,
        token_indexers: dict[str, TokenIndexer],
        *,
        words_per_instance: int | list[int] = 96,
        include: list[str] | None = None,
        exclude: list[str] | None = None,
    ) -> None:
        super().__init__(token_indexers)
        sizes = [words_per_instance] if isinstance(words_per_instance, int) else words_per_instance
        if min(sizes, default=0) < 1:
            raise ConfigError(f"words_per_instance: {words_per_instance}; expected 1 or more, such as 96")
        self.sizes = sizes
        self.include = include
        self.exclude = exclude or []

    def records(self, path: Path) -> Iterator[tuple[str, dict[str, JSON]]]:
        """Streams `{"text": ...}` with the place of its first word (`novels.tar.xz/Tess.txt:120`).

        Raises:
            DataError: Nothing there is a text file to read, or one is unreadable.
        """
        if is_archive(path):
            yield from self._archive_records(path)
            return
        for file in self.files(path):
            yield from self._chunks(shown(file), open_lines(file))

    def text_to_instance(self, record: Mapping[str, JSON]) -> Instance:
        """Makes an instance of `{"text": ...}`.

        Raises:
            ValueError: The text is missing or not a string.
        """
        return Instance({"tokens": TextField(text_of(record, self.text_key))})

    def files(self, path: Path) -> list[Path]:
        """Lists the files to read, in the order of their names.

        Raises:
            DataError: There is none.
        """
        if path.is_file():
            return [path]
        if path.is_dir():
            found = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
            return [found[name] for name in sorted(self._chosen(found, shown(path)))]
        if not glob.has_magic(str(path)):
            require(path)
        matches = [Path(name) for name in glob.glob(str(path), recursive=True)]
        found = {shown(file): file for file in matches if file.is_file()}
        return [found[name] for name in sorted(self._chosen(found, shown(path), usual=("*",)))]

    def _archive_records(self, path: Path) -> Iterator[tuple[str, dict[str, JSON]]]:
        archive_name = shown(path)
        names: list[str] = []
        for name, content in archive_members(path):
            names.append(name)
            if self._is_chosen(name, TEXT_NAMES):
                place = f"{archive_name}/{name}"
                yield from self._chunks(place, numbered_lines(content, place))
        self._chosen(names, archive_name)

    def _chunks(self, name: str, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[str, dict[str, JSON]]]:
        sizes = cycle(self.sizes)
        size = next(sizes)
        words: list[str] = []
        first_line = 1
        for number, line in lines:
            if not words:
                first_line = number
            words += line.split()
            start = 0
            while start + size <= len(words):
                yield f"{name}:{first_line}", {"text": " ".join(words[start : start + size])}
                first_line = number
                start += size
                size = next(sizes)
            del words[:start]
        if words:
            yield f"{name}:{first_line}", {"text": " ".join(words)}

    def _is_chosen(self, name: str, usual: Sequence[str]) -> bool:
        include = usual if self.include is None else self.include
        return _matches(name, include) and not _matches(name, self.exclude)

    def _chosen(self, names: Iterable[str], place: str, usual: Sequence[str] = TEXT_NAMES) -> list[str]:
        """Keeps the names that include and exclude choose; refuses to keep none."""
        names = sorted(names)
        chosen = [name for name in names if self._is_chosen(name, usual)]
        if not chosen:
            listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            include = list(usual if self.include is None else self.include)
            raise DataError(
                f"{place}: none of its {len(names)} files is chosen by include {include} and exclude "
                f"{self.exclude}; it has: {listed or 'nothing'}"
            )
        return chosen


def _matches(name: str, patterns: Iterable[str]) -> bool:
    last = name.rpartition("/")[2]
    return any(fnmatchcase(name, pattern) or fnmatchcase(last, pattern) for pattern in patterns)
