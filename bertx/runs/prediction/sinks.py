"""The output of a prediction: standard output, or a file that can be gone on with after an interruption.

A file has the name `FILE.partial` until it is complete; `FILE.progress` notes after every window how many
bytes of it are good, and of what prediction. The note comes last: what a kill left behind it is dropped.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from bertx.atomic import not_writable, replacing, require_replaceable
from bertx.errors import DataError, UsageError
from bertx.runs.prediction.records import Item


@dataclass
class Tally:
    """How far a prediction is.

    Attributes:
        windows: Windows done.
        inputs: Input records done.
        written: Output lines written.
        bad: Records that could not be read.
        digest: Stands for the contents of the input records done.
    """

    windows: int = 0
    inputs: int = 0
    written: int = 0
    bad: int = 0
    digest: str = ""

    def add(self, window: Sequence[Item], *, written: int, bad: int) -> None:
        """Counts a window."""
        for item in window:
            # Each hash holds the one before, so that the last stands for all.
            chained = bytes.fromhex(self.digest) + item.content()
            self.digest = hashlib.blake2b(chained, digest_size=16).hexdigest()
        self.windows += 1
        self.inputs += len(window)
        self.written += written
        self.bad += bad


class Sinks:
    """Where lines go.

    Args:
        lines: Takes the predictions; None: they are dropped.
        bad: Takes the quarantine; None: it is dropped.
        note: The file that notes how far the others are complete; None: none.
        identity: Tells this prediction from others in the note.
    """

    def __init__(
        self,
        lines: BinaryIO | None,
        bad: BinaryIO | None = None,
        note: Path | None = None,
        identity: str = "",
    ) -> None:
        self._lines, self._bad, self._note, self._identity = lines, bad, note, identity

    def write(self, lines: Iterable[bytes], bad: Iterable[bytes]) -> None:
        """Writes the lines of a window."""
        for stream, rows in ((self._lines, lines), (self._bad, bad)):
            if stream is not None:
                stream.writelines(rows)
                stream.flush()

    def note(self, tally: Tally) -> None:
        """Notes how far the files are complete."""
        if self._note is None or self._lines is None:
            return
        sizes = {"bytes": self._lines.tell(), "bad_bytes": self._bad.tell() if self._bad else 0}
        with replacing(self._note) as temporary:
            temporary.write_bytes(orjson.dumps({"identity": self._identity, **asdict(tally), **sizes}))


@dataclass(frozen=True)
class OutputFile:
    """A file of predictions, and the files beside it.

    Attributes:
        path: The file.
        quarantines: Whether bad records go to a file beside it.
        identity: Tells this prediction from others: one can only go on with itself.
    """

    path: Path
    quarantines: bool
    identity: str

    def beside(self, ending: str) -> Path:
        """Names a file beside this one."""
        return self.path.with_name(f"{self.path.name}.{ending}")

    @contextmanager
    def open(self, *, resume: bool) -> Iterator[tuple[Sinks, Tally]]:
        """Opens the file; it gets its name when the block ends without an error.

        Args:
            resume: Whether to go on where an interrupted prediction stopped, if one did.

        Raises:
            DataError: A file cannot be written, or what an interrupted prediction left cannot be used.
            UsageError: There is nothing to resume, since the file is complete.
        """
        require_replaceable(self.path)
        tally, num_bytes, num_bad_bytes = self._progress() if resume else (Tally(), 0, 0)
        note, partial, quarantine = (self.beside(name) for name in ("progress", "partial", "quarantine"))
        if not num_bytes:
            note.unlink(missing_ok=True)
        with ExitStack() as stack:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lines = stack.enter_context(_continued(partial, num_bytes))
                bad = stack.enter_context(_continued(quarantine, num_bad_bytes)) if self.quarantines else None
            except OSError as error:
                raise not_writable(self.path, error) from error
            try:
                yield Sinks(lines, bad, note, self.identity), tally
            except BaseException:
                if not note.exists():  # nothing is done yet
                    partial.unlink()
                raise
        partial.replace(self.path)
        note.unlink(missing_ok=True)

    def _progress(self) -> tuple[Tally, int, int]:
        """Reads the note of an interrupted prediction: how far it was, and the sizes of its files."""
        note, partial = self.beside("progress"), self.beside("partial")
        anew = f"leave out --resume to begin anew, which replaces {partial.name}"
        try:
            state = json.loads(note.read_bytes())
            sizes = int(state.pop("bytes")), int(state.pop("bad_bytes"))
            identity, tally = state.pop("identity"), Tally(**state)
        except FileNotFoundError:
            if self.path.exists() and not partial.exists():
                raise UsageError(f"{self.path}: is complete; leave out --resume to begin anew") from None
            return Tally(), 0, 0
        except OSError as error:
            raise DataError(f"{note}: cannot be read ({error.strerror}); {anew}") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise DataError(f"{note}: is no note of progress; {anew}") from None
        if identity != self.identity:
            raise DataError(f"{note}: was made by another run or with other options; {anew}")
        if not partial.exists() and self.path.exists() and self.path.stat().st_size == sizes[0]:
            self.path.replace(partial)  # the kill came after the renaming: nothing is left to do
        return tally, *sizes


def _continued(path: Path, size: int) -> BinaryIO:
    """Opens a file for writing after its first `size` bytes; what comes after them is dropped."""
    if size and (not path.exists() or path.stat().st_size < size):
        raise DataError(f"{path}: is shorter than its note of progress says; leave out --resume")
    file = path.open("r+b" if size else "wb")
    file.seek(size)
    file.truncate()
    return file


def standard_output(*, silent: bool) -> Sinks:
    """Writes to standard output, or nowhere."""
    return Sinks(None if silent else sys.stdout.buffer)
