"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the public data sets, outside the repository: `BERTX_DATA`, or ../shared/data."""
    folder = Path(os.environ.get("BERTX_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the public data sets are not here; set BERTX_DATA to their folder")
    return folder
