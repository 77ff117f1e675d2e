"""Runs `bertx` commands inside the test process, as a shell would see them."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from unittest import mock

from bertx.cli.main import main


@dataclass(frozen=True)
class Result:
    """What a command left: its exit status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def rows(self):
        return [json.loads(line) for line in self.out.splitlines()]


def bertx(*arguments: object, stdin: bytes = b"") -> Result:
    """Runs a command."""
    out, err, given = (io.TextIOWrapper(io.BytesIO(content), "utf-8") for content in (b"", b"", stdin))
    status = 0
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "stdin", given),
    ):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    return Result(status, *(stream_text(stream) for stream in (out, err)))


def stream_text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8")
