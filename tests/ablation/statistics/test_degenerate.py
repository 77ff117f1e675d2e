from __future__ import annotations

import math

import numpy as np
import pytest

from bertx.ablation.statistics.degenerate import loss_is_not_falling, predicts_one_class


def test_one_label_for_all_instances_is_degenerate():
    assert predicts_one_class(np.array([1, 1, 1]), np.array([0, 1, 1]))
    assert not predicts_one_class(np.array([0, 1, 1]), np.array([0, 1, 1]))


def test_one_label_is_right_where_there_is_but_one():
    assert not predicts_one_class(np.array([1, 1]), np.array([1, 1]))


@pytest.mark.parametrize(
    "losses",
    [
        [0.6931, 0.6938, 0.6929, 0.6932, 0.6930, 0.6931],  # collapsed: the entropy of two equal classes
        [0.5, 0.7, 0.9],
        [0.5, math.nan],
        [0.5, math.inf],
        [1.0, 0.4, 1.0],
    ],
)
def test_a_loss_that_ends_where_it_began_is_degenerate(losses):
    assert loss_is_not_falling(losses)


@pytest.mark.parametrize("losses", [[0.69, 0.5, 0.3], [0.69, 0.67], [0.5], []])
def test_a_loss_that_falls_or_is_hardly_known_is_not(losses):
    assert not loss_is_not_falling(losses)


def test_noise_of_single_steps_does_not_hide_a_falling_loss():
    noise = np.random.default_rng(0).normal(0, 0.2, 300)
    assert not loss_is_not_falling((np.linspace(0.7, 0.3, 300) + noise).tolist())
