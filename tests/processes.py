"""Runs a function of the tests in several processes at once, which form one world."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import torch
import torch.distributed as dist

from bertx.world import World, end_process, joined

REPOSITORY = Path(__file__).parent.parent
SECONDS = 120
Started: TypeAlias = "tuple[dist.TCPStore, list[subprocess.Popen[bytes]]]"


def start_together(place: str, size: int, folder: Path) -> Started:
    """Starts `module:function` in that many processes; they meet at the store, which must be kept."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    environment = {
        **os.environ,
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # as under torchrun: the store is there already
        "TORCHELASTIC_RESTART_COUNT": "0",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.processes", place, str(folder)]
    processes = []
    for rank in range(size):
        own = {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        with (folder / f"stderr{rank}.txt").open("wb") as stderr:
            processes.append(subprocess.Popen(command, env=own, cwd=REPOSITORY, stderr=stderr))
    return store, processes


def statuses_of(started: Started) -> list[int]:
    """Waits for all, and kills what does not end."""
    _store, processes = started
    try:
        return [process.wait(SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run_together(place: str, size: int, folder: Path):
    """Returns what `module:function(world, folder)` returns in each of the processes, in JSON."""
    statuses = statuses_of(start_together(place, size, folder))
    said = [(folder / f"stderr{rank}.txt").read_text(encoding="utf-8") for rank in range(size)]
    assert statuses == [0] * size, "\n".join(said)
    return [json.loads((folder / f"result{rank}.json").read_text(encoding="utf-8")) for rank in range(size)]


def unpickled() -> list[str]:
    """The names that a pickle has looked up in this process since its modules were imported."""
    return _unpickled


_unpickled: list[str] = []


def main() -> None:
    place, folder = sys.argv[1], Path(sys.argv[2])
    module, function = place.split(":")
    found = getattr(importlib.import_module(module), function)
    here = importlib.import_module("tests.processes")  # where `unpickled` is called; this file is `__main__`

    def note(event: str, given: tuple[object, ...]) -> None:
        if event == "pickle.find_class":
            here.unpickled().append(f"{given[0]}.{given[1]}")

    sys.addaudithook(note)
    world = World.current()
    with joined(world, torch.device("cpu"), timeout_seconds=SECONDS):
        result = found(world, folder)
    (folder / f"result{world.rank}.json").write_text(json.dumps(result))
    end_process(0)


if __name__ == "__main__":
    main()
