"""What a config may say of several processes."""

from __future__ import annotations

import re

import pytest

from bertx.config.construct import plan
from bertx.errors import ConfigError
from bertx.training.processes.distributed import Distributed, device_name
from bertx.world import World


def made(**settings) -> Distributed:
    return plan(Distributed, settings).build()


def test_allennlp_says_the_devices_and_not_the_number():
    distributed = made(cuda_devices=[0, 1, 3], num_nodes=2, master_address="node0", master_port=29500)
    assert (distributed.num_processes, distributed.size, distributed.strategy) == (3, 6, "ddp")


def test_each_process_has_a_device_of_its_own():
    devices = [device_name(World(rank, 3, rank), [2, 0, -1]) for rank in range(3)]
    assert devices == ["cuda:2", "cuda:0", "cpu"]


@pytest.mark.parametrize("gpus, name", [(False, "cpu"), (True, "cuda:1")])
def test_without_devices_each_takes_a_gpu_if_there_are_any(monkeypatch, gpus, name):
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpus)
    assert device_name(World(3, 4, 1)) == name


@pytest.mark.parametrize(
    "settings, message",
    [
        ({}, "distributed: neither num_processes nor cuda_devices says how many processes there are to be"),
        (
            {"num_processes": 2, "cuda_devices": [0]},
            "distributed.num_processes: 2, but cuda_devices has 1 entries; expected one for each process",
        ),
        ({"num_processes": 0}, "distributed.num_processes: 0; expected 1 or more"),
        ({"num_processes": 2, "num_nodes": 0}, "distributed.num_nodes: 0; expected 1 or more"),
        (
            {"num_processes": 2, "num_nodes": 2},
            "distributed.master_port: is missing; with num_nodes above 1 all machines must know it, and "
            "master_address",
        ),
        (
            {"num_processes": 2, "timeout_seconds": 0},
            "distributed.timeout_seconds: 0; expected more than 0",
        ),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        made(**settings)
