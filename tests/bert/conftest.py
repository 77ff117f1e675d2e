"""What KerasHub computes with the checkpoints that checkpoints/golden/make.py made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def expected(golden: Path) -> dict[str, object]:
    """Inputs and outputs of KerasHub's models."""
    return json.loads((golden / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def batch(expected: dict[str, object]) -> dict[str, Tensor]:
    """The inputs of what KerasHub computes, by the names that our models give them."""
    inputs = expected["inputs"]
    return {
        "input_ids": torch.tensor(inputs["token_ids"]),
        "attention_mask": torch.tensor(inputs["padding_mask"]),
        "token_type_ids": torch.tensor(inputs["segment_ids"]),
    }
