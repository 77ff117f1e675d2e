"""Reports how much memory a training takes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import ClassVar, cast

import torch

from bertx.data.instance import JSON
from bertx.training.callbacks.trainer_callback import TrainerCallback, TrainingContext

MEGABYTE = 2**20


@TrainerCallback.register("gpu_memory")
class GpuMemory(TrainerCallback):
    """Adds the memory that processes and GPUs took to the metrics of every epoch, by AllenNLP's names.

    `peak_worker_0_memory_MB` is the most that process 0 has had of the machine's memory at any time, which
    Windows does not tell; `training_gpu_0_memory_MB` is the most that tensors have taken of its GPU in this
    epoch, and `peak_gpu_0_memory_MB` in any. All are in units of 2^20 bytes; a resumed training counts on.
    """

    reads_weights: ClassVar[bool] = False

    def __init__(self) -> None:
        self._peaks: dict[str, int] = {}

    def on_start(self, context: TrainingContext) -> None:
        """Begins to measure."""
        _gpu_megabytes(context)

    def metrics(self, context: TrainingContext) -> dict[str, JSON]:
        """Returns the memory of every process; measures the next epoch from here on."""
        mine = {"worker": _process_megabytes(), "gpu": _gpu_megabytes(context)}
        found: dict[str, JSON] = {}
        for rank, used in enumerate(context.world.gather(mine)):
            for place, megabytes in used.items():
                if megabytes is None:
                    continue
                name = f"{place}_{rank}_memory_MB"
                if place == "gpu":
                    found[f"training_{name}"] = megabytes
                self._peaks[name] = max(megabytes, self._peaks.get(name, 0))
        return found | {f"peak_{name}": megabytes for name, megabytes in self._peaks.items()}

    def state_dict(self) -> dict[str, JSON]:
        """Returns the peaks."""
        return dict(self._peaks)

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back the peaks."""
        self._peaks = cast("dict[str, int]", dict(state))


def _gpu_megabytes(context: TrainingContext) -> int | None:
    """Returns the most that the GPU which holds the model has held since the last call; None on a CPU."""
    device = next(context.model.parameters()).device
    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return peak // MEGABYTE


def _process_megabytes() -> int | None:
    """Returns the largest resident size that this process has had."""
    try:
        import resource
    except ModuleNotFoundError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (MEGABYTE if sys.platform == "darwin" else 1024)
