"""The processes that train one model together: who this one is, and what they agree on.

They talk through the process group of `torch.distributed`. What they say is numbers and JSON in tensors,
never a pickle, and always on the CPU (gloo), so that it waits for no GPU. Every process must take part in the
same talks in the same order.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from bertx.errors import ProcessError, UsageError

Value = TypeVar("Value")

LAUNCHER_PID = "BERTX_LAUNCHER_PID"  # in a worker's environment, set by the launcher of bertx
SECONDS_BETWEEN_LOOKS = 1.0
DEFAULT_TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True)
class World:
    """This process among those of its run; by default it is alone, and talks to nobody.

    Attributes:
        rank: The number of this process, from 0.
        size: How many processes there are, on all machines.
        local_rank: The number of this process on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def current(cls, environment: Mapping[str, str] = os.environ) -> World:
        """Reads what `torchrun` says to a process: RANK, WORLD_SIZE and LOCAL_RANK.

        Raises:
            UsageError: It makes no sense, or other processes exist and MASTER_ADDR does not tell where.
        """
        given = {name: environment.get(name, "0") for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
        try:
            rank, size, local_rank = (int(text) for text in given.values())
        except ValueError:
            rank, size, local_rank = -1, 0, 0
        if "WORLD_SIZE" not in environment and "RANK" not in environment:
            return cls()
        if not 0 <= rank < size or local_rank < 0:
            said = ", ".join(f"{name}={text}" for name, text in given.items())
            raise UsageError(
                f"environment: {said}; expected RANK from 0 to WORLD_SIZE - 1; start with torchrun, or "
                "unset them"
            )
        if size > 1 and not {"MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
            raise UsageError(
                f"environment: WORLD_SIZE={size}, but MASTER_ADDR and MASTER_PORT are not set; "
                "start with torchrun, or unset WORLD_SIZE"
            )
        return cls(rank, size, local_rank)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files, shows progress and reports: one of all does."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Adds each number over all processes, in the order of ranks: all get the same, to the last bit."""
        if self.size == 1:
            return [float(value) for value in values]
        parts = self._gathered(torch.tensor(values, dtype=torch.float64))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return [float(value) for value in total]

    def gather(self, value: Value) -> list[Value]:
        """Returns the JSON value of every process, in the order of ranks, to all of them."""
        if self.size == 1:
            return [value]
        content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = [int(length) for length in self._gathered(torch.tensor([len(content)]))]
        padded = torch.zeros(max(lengths), dtype=torch.uint8)
        padded[: len(content)] = content
        parts = zip(self._gathered(padded), lengths, strict=True)
        return [json.loads(part[:length].numpy().tobytes()) for part, length in parts]

    def broadcast(self, value: Value) -> Value:
        """Returns the JSON value of the main process to all; what the others give does not matter."""
        return self.gather(value)[0]

    def barrier(self) -> None:
        """Waits for all processes."""
        self.sum([0.0])

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Lets the main process do the block before the others, such as filling a cache that they read."""
        if not self.is_main:
            self.barrier()
        yield
        if self.is_main:
            self.barrier()

    def _gathered(self, tensor: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        with naming_lost_peers():
            dist.all_gather(parts, tensor)
        return parts


@contextmanager
def joined(
    world: World, device: torch.device, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
) -> Iterator[None]:
    """Joins the processes of a run for the length of the block; does nothing for one that is alone.

    Args:
        world: This process among the others.
        device: Where it computes; between GPUs tensors travel by NCCL.
        timeout_seconds: How long to wait for another process before giving up.

    Raises:
        ProcessError: Another process cannot be reached, has ended or does not answer in time.
    """
    if world.size == 1:
        yield
        return
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    _follow_launcher()
    with naming_lost_peers():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            rank=world.rank,
            world_size=world.size,
            timeout=timedelta(seconds=timeout_seconds),
        )
        try:
            yield
        except BaseException:
            if not on_gpu:  # that of NCCL would wait for the others; its end is the end of the process
                dist.destroy_process_group()
            raise
        dist.destroy_process_group()


def end_process(status: int) -> NoReturn:
    """Ends one of several processes: does what is to be done at an exit, and leaves the rest to the system.

    Threads that torch keeps for a process group may abort the end of the interpreter (seen in 1 of 28
    processes), and with it the exit status would be lost, by which others know what happened.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


@contextmanager
def naming_lost_peers() -> Iterator[None]:
    """Says in plain words that another process is gone or silent.

    Raises:
        ProcessError: It is.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not isinstance(error, dist.DistError) and "gloo" not in text and "NCCL" not in text:
            raise
        reason = text.strip().splitlines()[0]
        raise ProcessError(
            "distributed: another process of this run has ended or does not answer "
            f"({reason}); its own message, in out_worker*.log or above, tells why"
        ) from error


def _follow_launcher() -> None:
    """Sends this process a SIGTERM, as a scheduler would, when the launcher that watches it is gone."""
    launcher = int(os.environ.get(LAUNCHER_PID, "0"))

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os.kill(os.getpid(), signal.SIGTERM)

    if launcher:
        threading.Thread(target=watch, name="follow-launcher", daemon=True).start()
