"""What processes agree on."""

from __future__ import annotations

import math
import signal

import pytest
import torch
import torch.distributed as dist

from bertx.errors import ProcessError, UsageError
from bertx.world import LAUNCHER_PID, World, joined, naming_lost_peers
from tests.processes import run_together, start_together, statuses_of

MEETING = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


def talk(world, folder):
    """Says and hears a little; run in each process."""
    order = folder / "order.txt"
    with world.main_first(), order.open("a") as file:
        file.write("main\n" if world.is_main else "other\n")
    return {
        "sum": world.sum([1.0, 0.1 * (world.rank + 1), math.inf]),
        "gathered": world.gather({"rank": world.rank, "name": "é" * world.rank, "none": None}),
        "broadcast": world.broadcast([world.rank, math.pi]),
        "empty": world.gather([]),
    }


def stay_behind(world, folder):
    """The last process ends; the others wait for it."""
    if world.rank == world.size - 1:
        raise ProcessError("gone")
    world.barrier()


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talk")
    return run_together("tests.test_world:talk", 3, folder), (folder / "order.txt").read_text()


def test_sums_are_added_in_the_order_of_ranks(said):
    assert [result["sum"] for result in said[0]] == [[3.0, 0.1 + 0.2 + 0.1 * 3, math.inf]] * 3


def test_all_get_what_each_says(said):
    wanted = [{"rank": rank, "name": "é" * rank, "none": None} for rank in range(3)]
    assert [result["gathered"] for result in said[0]] == [wanted] * 3
    assert [result["empty"] for result in said[0]] == [[[], [], []]] * 3


def test_all_get_what_the_main_process_says(said):
    assert [result["broadcast"] for result in said[0]] == [[0, math.pi]] * 3


def test_the_main_process_goes_first(said):
    assert said[1] == "main\nother\nother\n"


def test_a_process_that_others_have_left_says_so(tmp_path):
    statuses = statuses_of(start_together("tests.test_world:stay_behind", 2, tmp_path))
    assert statuses == [1, 1]
    assert "ProcessError: distributed: another process of this run has ended" in (
        tmp_path / "stderr0.txt"
    ).read_text(encoding="utf-8")


def test_a_worker_whose_launcher_is_gone_is_told_to_end(tmp_path, monkeypatch):
    monkeypatch.setenv(LAUNCHER_PID, "1")
    store, processes = start_together("tests.test_world:talk", 2, tmp_path)
    assert statuses_of((store, processes)) == [-signal.SIGTERM] * 2


def test_a_process_alone_talks_to_nobody():
    world = World.current({})
    with joined(world, torch.device("cpu")), world.main_first():
        assert world.sum([2, 0.5]) == [2.0, 0.5]
        assert world.gather({"a": 1}) == [{"a": 1}]
        assert world.broadcast("x") == "x"
        assert not dist.is_initialized()


def test_torchrun_says_who_a_process_is():
    environment = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", **MEETING}
    world = World.current(environment)
    assert world == World(rank=3, size=4, local_rank=1)
    assert not world.is_main


def test_one_process_of_torchrun_needs_no_meeting_place():
    assert World.current({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}) == World()


@pytest.mark.parametrize("rank, size", [("4", "4"), ("-1", "2"), ("x", "2"), ("0", "0")])
def test_an_impossible_rank_is_refused(rank, size):
    message = (
        f"environment: RANK={rank}, WORLD_SIZE={size}, LOCAL_RANK=0; expected RANK from 0 to WORLD_SIZE - 1; "
        "start with torchrun, or unset them"
    )
    with pytest.raises(UsageError, match=f"^{message}$"):
        World.current({"RANK": rank, "WORLD_SIZE": size, **MEETING})


def test_processes_without_a_meeting_place_are_refused():
    message = (
        "environment: WORLD_SIZE=2, but MASTER_ADDR and MASTER_PORT are not set; start with torchrun, or "
        "unset WORLD_SIZE"
    )
    with pytest.raises(UsageError, match=f"^{message}$"):
        World.current({"RANK": "0", "WORLD_SIZE": "2"})


def test_a_lost_process_is_named_in_one_line():
    message = (
        r"^distributed: another process of this run has ended or does not answer \(\[gloo/pair\.cc:1\] "
        r"Connection closed\); its own message, in out_worker\*\.log or above, tells why$"
    )
    with pytest.raises(ProcessError, match=message), naming_lost_peers():
        raise RuntimeError("[gloo/pair.cc:1] Connection closed\nand more")


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), naming_lost_peers():
        raise RuntimeError("shapes differ")
