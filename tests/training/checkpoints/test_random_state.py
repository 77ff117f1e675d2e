import json
import random

import numpy as np
import torch

from bertx.training.checkpoints.random_state import random_state, seed_apart, set_random_state


def drawn():
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
        *torch.rand(3).tolist(),
        *torch.randn(3).tolist(),
        *torch.nn.functional.dropout(torch.ones(8)).tolist(),
    ]


def test_all_generators_go_on_where_they_were():
    drawn()  # leaves half of a pair of Gaussian numbers in waiting
    state = json.loads(json.dumps(random_state()))
    expected = drawn()
    drawn()
    set_random_state(state)
    assert drawn() == expected


def test_taking_the_state_draws_nothing():
    state = random_state()
    expected = drawn()
    set_random_state(state)
    random_state()
    assert drawn() == expected


def test_processes_without_a_state_of_their_own_draw_different_numbers():
    state, found = random_state(), []
    for rank in (0, 1, 1):
        seed_apart([state], rank)
        found.append(drawn())
    assert found[0] != found[1] == found[2]
