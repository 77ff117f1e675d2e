"""A JSONL file of a run, which an interrupted training goes on with where its checkpoint was."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import ClassVar, cast

import orjson

from bertx.data.instance import JSON
from bertx.errors import DataError
from bertx.training.callbacks.trainer_callback import TrainerCallback, TrainingContext


class LineLog(TrainerCallback):
    """Appends lines to a file of the run folder; without a run folder nothing is written.

    A number that is not finite is written as null, since JSON has no word for it. When an interrupted
    training goes on, the lines after its checkpoint are taken off: they are written again.
    """

    reads_weights: ClassVar[bool] = False
    file_name: ClassVar[str]

    def __init__(self) -> None:
        self._written = 0  # bytes, at the last line

    def on_start(self, context: TrainingContext) -> None:
        """Takes off what was written after the checkpoint, or before a training that begins anew."""
        if context.folder is None:
            return
        path = context.folder / self.file_name
        try:
            if path.exists() and path.stat().st_size > self._written:
                os.truncate(path, self._written)
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None

    def append(self, context: TrainingContext, line: Mapping[str, JSON]) -> None:
        """Writes a line.

        Raises:
            DataError: The file cannot be written.
        """
        if context.folder is None:
            return
        path = context.folder / self.file_name
        try:
            with path.open("ab") as file:
                file.write(orjson.dumps({"time": round(time.time(), 3), **line}) + b"\n")
                self._written = file.tell()
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None

    def state_dict(self) -> dict[str, JSON]:
        """Returns how much is written."""
        return {"bytes": self._written}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back how much was written."""
        self._written = cast(int, state["bytes"])
