"""The machine itself: how fast it multiplies matrices."""

from __future__ import annotations

from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Column, System, Workload

RATES = System("machine", "tests.benchmarks.systems.machine:rates", note="torch.mm")


def workload(setting: Setting) -> Workload:
    """Returns the workload."""
    return Workload(
        name="machine",
        about="The best rate of products of two 2,048 x 2,048 matrices.",
        systems=[RATES],
        columns=[
            Column("bf16_gflops", "GFLOP/s in bf16", 0),
            Column("fp32_gflops", "GFLOP/s in fp32", 0),
            Column("threads", "threads", 0),
        ],
    )
