"""A small preset that KerasHub wrote, and what KerasHub computes with it; golden/make.py made them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bertx.tar_gz import unpack

GOLDEN = Path(__file__).parent / "golden" / "golden.tar.gz"


@pytest.fixture(scope="session")
def kerashub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their folder; tests must not change it."""
    folder = tmp_path_factory.mktemp("keras_style")
    unpack(GOLDEN, folder)
    return folder


@pytest.fixture(scope="session")
def preset(kerashub: Path) -> Path:
    """A classifier of three classes without dropout."""
    return kerashub / "classifier"


@pytest.fixture(scope="session")
def expected(kerashub: Path) -> dict[str, object]:
    """What KerasHub computes."""
    return json.loads((kerashub / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Makes fresh weights and orders the same in every run."""
    torch.manual_seed(0)
