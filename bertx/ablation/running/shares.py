"""Shares of a machine: which cores and which GPU each worker has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """What one worker has of the machine.

    Attributes:
        cores: Numbers of cores; workers have the same ones only where there are fewer cores than workers.
        gpu: The GPU, as `CUDA_VISIBLE_DEVICES` names it; None: there is none.
    """

    cores: tuple[int, ...]
    gpu: str | None = None


def shares(workers: int, cores: Sequence[int], gpus: Sequence[str]) -> list[Share]:
    """Divides cores among workers, neighbours together, and hands out GPUs in turn."""
    count = len(cores)
    found = []
    for number in range(workers):
        mine = cores[number * count // workers : (number + 1) * count // workers]
        gpu = gpus[number % len(gpus)] if gpus else None
        found.append(Share(tuple(mine) or (cores[number % count],), gpu))
    return found


def usable_cores() -> list[int]:
    """Returns the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def usable_gpus(device: str | None) -> list[str]:
    """Returns the GPUs that runs may use, as `CUDA_VISIBLE_DEVICES` names them.

    Args:
        device: What the user asked for; None: GPUs if there are any.
    """
    import torch

    if device is not None or not torch.cuda.is_available():
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
