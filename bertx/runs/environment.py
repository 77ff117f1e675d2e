"""What a run ran on and with: the content of `environment.json`."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

FORMAT_VERSION = 1
PACKAGES = ("bertx", "torch", "tokenizers", "safetensors", "numpy", "jsonnet", "pydantic", "orjson")


def describe_environment() -> dict[str, object]:
    """Describes software and hardware, and gives the version of the run folder's format."""
    cuda = torch.cuda
    return {
        "format_version": FORMAT_VERSION,
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "gpus": [cuda.get_device_name(number) for number in range(cuda.device_count())],
        "command": list(sys.argv),
        "git_commit": _git_commit(),
    }


def describe_files(files: Iterable[Path]) -> list[dict[str, object]]:
    """Describes the contents of files: size in bytes and SHA-256."""
    found: list[dict[str, object]] = []
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found.append({"path": file.as_posix(), "bytes": file.stat().st_size, "sha256": digest})
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Returns the commit of the working directory's repository, if it is in one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
