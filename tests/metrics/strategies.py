"""Generated predictions, and what counting them in parts means."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

from bertx.data.encoded import UNSEEN_LABEL
from bertx.metrics.metric import Metric

NUM_LABELS = 4

Pairs = list[tuple[int, int]]  # gold and predicted label

golds = st.sampled_from([UNSEEN_LABEL, 0, 1, 2, 3])
pairs = st.lists(st.tuples(golds, st.integers(0, NUM_LABELS - 1)), min_size=1, max_size=40)


def tensors(pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Logits (batch, num_labels) and labels (batch,)."""
    predicted = torch.tensor([predicted for _, predicted in pairs], dtype=torch.int64)
    return torch.eye(NUM_LABELS)[predicted], torch.tensor([gold for gold, _ in pairs], dtype=torch.int64)


def unknown_as_label(pairs: Pairs) -> tuple[list[int], list[int]]:
    """Gold and predicted labels for scikit-learn: an unknown one is a label that nobody predicts."""
    return [gold if gold >= 0 else NUM_LABELS for gold, _ in pairs], [predicted for _, predicted in pairs]


def value(metric: Metric, parts: Sequence[Pairs]) -> dict[str, float]:
    """Counts batch by batch, with a metric of its own."""
    metric = copy.deepcopy(metric)
    for part in parts:
        metric(*tensors(part))
    return metric.get_metric(reset=True)
