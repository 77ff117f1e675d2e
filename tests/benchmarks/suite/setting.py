"""What all workloads are made for: one machine, one encoder, one folder, one size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.suite.processes import Processes


@dataclass(frozen=True)
class Setting:
    """Given to every workload.

    Attributes:
        folder: Holds what workloads make for their systems, until the suite ends.
        data: The public data sets.
        encoder: A pretrained BERT in Hugging Face layout.
        scale: All numbers of rows are multiplied by it.
        processes: Starts processes.
        kerashub_python: The interpreter that has KerasHub; None: the one that runs the suite.
    """

    folder: Path
    data: Path
    encoder: Path
    scale: float
    processes: Processes
    kerashub_python: Path | None = None

    def rows(self, number: int, least: int = 64) -> int:
        """Returns how many rows to take where a full-sized measurement takes `number`."""
        return max(min(number, least), round(self.scale * number))
