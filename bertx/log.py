"""Where messages go: stderr, and the log file of a run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bertx.errors import DataError

FILE_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


class _OverBars(logging.Handler):
    """Writes a message above a progress bar, not through it."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm  # only where something is logged: tqdm is slow to import

        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        tqdm.write(f"{level}{record.getMessage()}", file=sys.stderr)


def log_to_stderr() -> None:
    """Shows bertx's messages on stderr."""
    logger = logging.getLogger("bertx")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _OverBars) for handler in logger.handlers):
        logger.addHandler(_OverBars())


class _LogFile(logging.FileHandler):
    """Says in one line, once, that the disk is full: what trains will say so itself."""

    _has_failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_failed:
            self._has_failed = True
            print(f"{self.baseFilename}: cannot be written ({error.strerror})", file=sys.stderr)


class Recording(logging.Handler):
    """Keeps messages until there is a file to write them to."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[logging.LogRecord] = []
        self._file: logging.FileHandler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a message, or keeps it for the file."""
        if self._file is None:
            self._kept.append(record)
        else:
            self._file.handle(record)

    def write_to(self, path: Path) -> None:
        """Appends the messages so far, and all from now on, to a file.

        Raises:
            DataError: The file cannot be written.
        """
        try:
            self._file = _LogFile(path, encoding="utf-8")
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
        self._file.setFormatter(FILE_FORMAT)
        for record in self._kept:
            self._file.handle(record)
        self._kept.clear()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written was told
                self._file.close()
        super().close()


@contextmanager
def recording() -> Iterator[Recording]:
    """Records bertx's messages, and the traceback of an error that ends the block."""
    logger = logging.getLogger("bertx")
    record = Recording()
    level = logger.level
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    logger.addHandler(record)
    try:
        yield record
    except BaseException:
        record.handle(
            logging.LogRecord("bertx", logging.ERROR, __file__, 0, "stopped by", (), sys.exc_info())
        )
        raise
    finally:
        logger.removeHandler(record)
        logger.setLevel(level)
        record.close()
