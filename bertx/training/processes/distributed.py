"""What a config says of the processes that are to train together."""

from __future__ import annotations

import torch

from bertx.config.registrable import Configurable
from bertx.errors import ConfigError
from bertx.training.processes.parallel import Strategy
from bertx.world import DEFAULT_TIMEOUT_SECONDS, World

ON_CPU = -1  # in `cuda_devices`
LOCAL_ADDRESS = "127.0.0.1"


class Distributed(Configurable):
    """Several processes that train one model together, each on its share of every batch.

    The batch of a config is that of all processes together, so that a run means the same with any number of
    them. `bertx train` starts them, or finds itself among those that `torchrun` has started; then the numbers
    of processes and machines are those of `torchrun`.

    Args:
        num_processes: How many on each machine; None: one for each of `cuda_devices`.
        strategy: `ddp`: each has the whole model; `fsdp`: each has a part of every parameter.
        cuda_devices: The GPU of each process on its machine; -1: the CPU. None: the first ones, if there are
            GPUs.
        num_nodes: How many machines. On each the same command is to be started, with NODE_RANK in its
            environment, from 0.
        master_address: The machine with NODE_RANK 0, as the others reach it.
        master_port: A free port there; None: any, which is only possible with one machine.
        timeout_seconds: How long a process waits for another before it gives up.

    Raises:
        ConfigError: The numbers do not go together.
    """

    def __init__(
        self,
        num_processes: int | None = None,
        strategy: Strategy = "ddp",
        cuda_devices: list[int] | None = None,
        num_nodes: int = 1,
        master_address: str = LOCAL_ADDRESS,
        master_port: int | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        if num_processes is None and not cuda_devices:
            raise ConfigError(
                "distributed: neither num_processes nor cuda_devices says how many processes there are to be"
            )
        if num_processes is not None and cuda_devices and len(cuda_devices) != num_processes:
            raise ConfigError(
                f"distributed.num_processes: {num_processes}, but cuda_devices has {len(cuda_devices)} "
                "entries; expected one for each process"
            )
        self.num_processes = num_processes or len(cuda_devices or [])
        for name, value in {"num_processes": self.num_processes, "num_nodes": num_nodes}.items():
            if value < 1:
                raise ConfigError(f"distributed.{name}: {value}; expected 1 or more")
        if num_nodes > 1 and master_port is None:
            raise ConfigError(
                "distributed.master_port: is missing; with num_nodes above 1 all machines must know it, and "
                "master_address"
            )
        if timeout_seconds <= 0:
            raise ConfigError(f"distributed.timeout_seconds: {timeout_seconds:g}; expected more than 0")
        self.strategy, self.cuda_devices, self.num_nodes = strategy, cuda_devices, num_nodes
        self.master_address, self.master_port = master_address, master_port
        self.timeout_seconds = timeout_seconds

    @property
    def size(self) -> int:
        """How many processes there are on all machines."""
        return self.num_processes * self.num_nodes


def device_name(world: World, cuda_devices: list[int] | None = None) -> str:
    """Names the device of one of several processes: a GPU of its own if there are any, else the CPU."""
    if cuda_devices is not None and world.local_rank < len(cuda_devices):
        number = cuda_devices[world.local_rank]
    else:
        number = world.local_rank if torch.cuda.is_available() else ON_CPU
    return "cpu" if number == ON_CPU else f"cuda:{number}"
