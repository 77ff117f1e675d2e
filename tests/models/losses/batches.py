"""Generated batches for losses, and how a loss is built for them."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from bertx.config.construct import plan
from bertx.models.losses import cross_entropy, focal  # noqa: F401  (registers them)
from bertx.models.losses.classification_loss import Classes, ClassificationLoss

LABELS = ("a", "b", "c")

Rows = list[tuple[list[float], int]]

numbers = st.floats(-20, 20, width=32)
labels = st.sampled_from([-100, 0, 1, 2])
batches = st.lists(st.tuples(st.lists(numbers, min_size=3, max_size=3), labels), min_size=1, max_size=8)
known_batches = batches.filter(lambda rows: any(label >= 0 for _, label in rows))
weights = st.lists(st.floats(0.01, 10), min_size=3, max_size=3)


def tensors(rows: Rows) -> tuple[Tensor, Tensor]:
    """Logits, float64 (batch, 3), and labels, (batch,)."""
    logits, label = zip(*rows, strict=True)
    return torch.tensor(logits, dtype=torch.float64), torch.tensor(label)


def built(settings: dict[str, object], counts: dict[str, int] | None = None) -> ClassificationLoss:
    return plan(ClassificationLoss, settings).build(classes=Classes(LABELS, counts))
