"""What the tests of runs share."""

from __future__ import annotations

import pytest

from bertx.runs.prediction import predict, records


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets predictions for files begin with windows as small as those of standard input."""
    monkeypatch.setattr(predict, "FIRST_OF_A_FILE", records.FIRST_WINDOW)
