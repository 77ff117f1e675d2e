"""Bulk prediction of documents of 512 tokens, from file to file."""

from __future__ import annotations

from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Comparison, Workload, ratio
from tests.benchmarks.texts import pages
from tests.benchmarks.workloads.prediction import COLUMNS, RATE, about, systems

ROWS = {
    "bertx": 1_000,
    "bertx_int8": 1_000,
    "pipeline": 128,
    "hand_fp32": 128,
    "hand_bf16": 256,
    "ort_fp32": 128,
    "ort_int8": 256,
}


def workload(setting: Setting) -> Workload:
    """Returns the workload."""
    texts = pages(setting.data, setting.rows(ROWS["bertx"]))
    pairs = [("bertx", name) for name in ROWS if not name.startswith("bertx")]
    return Workload(
        name="documents",
        about=f"{len(texts):,} pages of novels, each cut to 512 pieces. {about(setting)}",
        systems=systems(setting, "documents", texts, ROWS),
        columns=COLUMNS,
        comparisons=[
            Comparison(f"rows/s: {ours} / {theirs}", ratio(RATE, ours, theirs))
            for ours, theirs in [*pairs, ("bertx_int8", "ort_int8"), ("bertx_int8", "bertx")]
        ],
    )
