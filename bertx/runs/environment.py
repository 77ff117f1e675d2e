"""What a run ran on and with: the content of `environment.json`.

Environment variables are not in it, since some hold passwords; nor are addresses of git remotes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import distributions
from pathlib import Path

import torch

FORMAT_VERSION = 1
GIT_SECONDS = 5


def describe_environment(folder: Path, include_packages: Sequence[str] = ()) -> dict[str, object]:
    """Describes software and hardware, and gives the version of the run folder's format.

    Args:
        folder: The folder of the config.
        include_packages: The user's own modules and `.py` files, which are imported already.
    """
    own = Path(__file__).parent
    return {
        "format_version": FORMAT_VERSION,
        "packages": dict(sorted(_versions().items())),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": _hardware(),
        "command": list(sys.argv),
        "git": {
            "config": git_state(folder),
            # An installed bertx may lie in a repository that it is no part of.
            "bertx": git_state(own)
            if _git(own, "ls-files", "--error-unmatch", Path(__file__).name)
            else None,
        },
        "include_package_files": {name: describe_files(source_files(name)) for name in include_packages},
    }


def describe_files(files: Iterable[Path]) -> list[dict[str, object]]:
    """Describes the contents of files: size in bytes and SHA-256."""
    found: list[dict[str, object]] = []
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found.append({"path": file.as_posix(), "bytes": file.stat().st_size, "sha256": digest})
    return found


def git_state(folder: Path) -> dict[str, object] | None:
    """Returns the commit that a folder is at, and whether a tracked file has changed since.

    None if the folder is in no repository, or there is no git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def source_files(name: str) -> list[Path]:
    """Returns the files of an imported module with its submodules, or of a `.py` file."""
    if name.endswith(".py"):
        return [Path(name)]
    spec = importlib.util.find_spec(name)
    if spec is None:
        return []
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    if folders:
        return sorted(file for folder in folders for file in folder.rglob("*.py"))
    return [Path(spec.origin)] if spec.origin and spec.has_location else []


def _versions() -> dict[str, str]:
    """Returns the versions of all installed packages."""
    # The first one of a name is the one that is imported.
    return {found.name: found.version for found in reversed(list(distributions())) if found.name}


def _hardware() -> dict[str, object]:
    gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return {
        "cpu": _cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": _memory_bytes(),
        "gpus": [{"name": gpu.name, "memory_bytes": gpu.total_memory} for gpu in gpus],
        "cuda": torch.version.cuda,
    }


def _cpu_model() -> str:
    """Returns what the CPU calls itself, or of which kind it is."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows does not tell it so
        return None


def _git(folder: Path, *arguments: str) -> str:
    """Returns what a command of git says about a folder, and nothing if it fails."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
