"""Where messages go: stderr, and the log file of a run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def logging_to_file(path: Path) -> Iterator[None]:
    """Writes bertx's messages to a file as well, tracebacks of errors included."""
    logger = logging.getLogger("bertx")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(FILE_FORMAT)
    level = logger.level
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    logger.addHandler(handler)
    try:
        yield
    except BaseException:
        handler.handle(
            logging.LogRecord("bertx", logging.ERROR, __file__, 0, "stopped by", (), sys.exc_info())
        )
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
