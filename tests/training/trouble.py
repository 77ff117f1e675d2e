"""Chosen moments of a process at which it is killed, or at which its disk fails."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

import bertx.training.checkpoints.folder as folder_module
import bertx.training.weights as weights_module

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod")

Act = Callable[[str, Path, bool], None]
"""What happens at a moment: its name, the file, and whether that is opened to append."""


@dataclass
class Moments:
    """Counts the moments at which something below a folder is changed, and acts at one of them.

    Attributes:
        folder: The run folder.
        at: The number of the moment, from 0; None: none.
        act: What to do then.
        seen: How many there were.
    """

    folder: Path
    at: int | None
    act: Act
    seen: int = 0
    acting: bool = False

    def audit(self, event: str, given: Sequence[object]) -> None:
        """Takes the events of Python's own file functions."""
        if event == "open" and isinstance(given[2], int) and given[2] & WRITING:
            self.pass_by(event, given[0], is_append=bool(given[2] & os.O_APPEND))
        elif event in CHANGES:
            # Removing a tree names files relative to a folder that is open.
            is_relative = event in ("os.remove", "os.rmdir") and given[1] not in (None, -1)
            self.pass_by(event, self.folder / str(given[0]) if is_relative else given[0])

    def pass_by(self, event: str, path: object, *, is_append: bool = False) -> None:
        """Notes a moment."""
        if self.acting or not isinstance(path, (str, Path)) or not Path(path).is_relative_to(self.folder):
            return
        number, self.seen = self.seen, self.seen + 1
        if number == self.at:
            self.acting = True
            self.act(event, Path(path), is_append)
            self.acting = False

    def watch(self) -> None:
        """Begins; what is written past Python's file functions is watched where it is called."""
        sys.addaudithook(self.audit)
        fsync = os.fsync

        def watched_fsync(descriptor: int) -> None:
            self.pass_by("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))
            fsync(descriptor)

        def watched_save(tensors: dict[str, torch.Tensor], path: Path, metadata: object = None) -> None:
            self.pass_by("native", path)
            save_file(tensors, path, metadata)  # type: ignore[arg-type]

        os.fsync = watched_fsync
        folder_module.save_file = weights_module.save_file = watched_save  # type: ignore[assignment]


def killing(torn: bool) -> Act:
    """Returns what ends the process at once; torn: with the first bytes of the file already written."""

    def act(event: str, path: Path, is_append: bool) -> None:
        if torn and event == "native":
            path.with_name(".tmpAb3dEf").write_bytes(b"\x10\0\0\0\0\0\0\0{")  # as safetensors names it
        elif torn and event == "open":
            with path.open("ab" if is_append else "wb") as file:
                file.write(b'{"time": 17')
        os.kill(os.getpid(), signal.SIGKILL)

    return act


def failing(number: int) -> Act:
    """Returns what makes a call fail with an error of the system."""

    def act(event: str, path: Path, is_append: bool) -> None:
        text = os.strerror(number)
        if event == "native":
            raise SafetensorError(f"Error while serializing: I/O error: {text} (os error {number})")
        raise OSError(number, text, str(path))

    return act
