"""The state of all random generators that training may draw from, as JSON."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch

from bertx.data.instance import JSON


def random_state() -> dict[str, JSON]:
    """Returns the state of the generators of Python, NumPy, and torch on the CPU and on each GPU."""
    version, words, gauss = random.getstate()
    state = np.random.get_state(legacy=False)
    return {
        "python": [version, list(words), gauss],
        "numpy": {
            "bit_generator": state["bit_generator"],
            "key": state["state"]["key"].tolist(),
            "pos": state["state"]["pos"],
            "has_gauss": state["has_gauss"],
            "gauss": state["gauss"],
        },
        "torch": torch.get_rng_state().tolist(),
        "cuda": [state.tolist() for state in torch.cuda.get_rng_state_all()],
    }


def set_random_state(state: Mapping[str, JSON]) -> None:
    """Sets the generators to a state that `random_state` returned; GPUs that are not there are left out."""
    version, words, gauss = cast("tuple[int, list[int], float | None]", state["python"])
    random.setstate((version, tuple(words), gauss))
    numpy = cast("Mapping[str, JSON]", state["numpy"])
    np.random.set_state({**numpy, "state": {"key": np.array(numpy["key"], np.uint32), "pos": numpy["pos"]}})
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    states = cast("list[JSON]", state["cuda"])
    for device, on_device in zip(range(torch.cuda.device_count()), states, strict=False):
        torch.cuda.set_rng_state(torch.tensor(on_device, dtype=torch.uint8), device)


def seed_apart(states: Sequence[Mapping[str, JSON]], rank: int) -> None:
    """Seeds the generators of one of several processes from the states that other processes had.

    For a training that goes on with another number of processes than it had, so that no state fits.
    """
    words = cast("list[int]", states[0]["torch"])
    seed = int(np.random.SeedSequence(words, spawn_key=(rank,)).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
