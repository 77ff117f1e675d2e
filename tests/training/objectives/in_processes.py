"""What the processes of `test_in_processes.py` compute: objectives, beside what one process computes alone.

Whatever an objective does to a batch, batches in several processes count as batches that are accumulated.
"""

from __future__ import annotations

from functools import partial

import torch

from bertx.training.objectives.fgm import FGM
from bertx.training.objectives.r_drop import RDrop
from bertx.training.processes.parallel import Parallel, parallelize
from bertx.world import World
from tests.training.processes.in_parallel import furthest, gradients, make, share_of

GROUPS = ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [10, 11])
OBJECTIVES = {"fgm": FGM(0.5), "r_drop": RDrop(2.0)}


def backward(output, *, part: float):
    (output["loss"] * part).backward()


def step(objective, parallel: Parallel, groups, divisor: int):
    """Leaves the gradients of groups of rows, of the sum of whose losses a part is taken."""
    parallel.model.zero_grad(set_to_none=True)
    for number, rows in enumerate(groups):
        forward = partial(parallel, share_of(rows, World()).inputs)
        with parallel.gradients(synchronized=number == len(groups) - 1):
            objective(parallel.model, forward, partial(backward, part=len(rows) / divisor))
    return gradients(parallel.model)


def check(world: World, folder):
    differences = {}
    for name, objective in OBJECTIVES.items():
        alone, shared = make("plain").eval(), make("plain").eval()
        wanted = step(objective, Parallel(alone), GROUPS, 12)
        parallel = parallelize(shared, "ddp", world, torch.device("cpu"))
        found = step(objective, parallel, GROUPS[world.rank :: world.size], 12 // world.size)
        differences[name] = furthest(found, wanted)
    return differences
