"""Corrections for many comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values so that any false difference in the whole study is as rare as the level says.

    Compare the result with the level, for example 0.05. Holds for tests that depend on each other, as
    comparisons with one base do.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.

    Args:
        p_values: One per comparison of the study, in any order.

    Returns:
        The adjusted p-values in the same order, at most 1.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    factors = np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return [float(p) for p in adjusted]
