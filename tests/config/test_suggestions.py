from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.config.suggestions import did_you_mean, distance, is_slip, nearest


@pytest.mark.parametrize(
    ("left", "right", "edits"),
    [("lr", "lr", 0), ("lr", "rl", 1), ("lr", "l", 1), ("lr", "lrr", 1), ("lr", "lx", 1), ("", "abc", 3)],
)
def test_distance_counts_each_slip_of_a_finger_once(left: str, right: str, edits: int):
    assert distance(left, right) == edits


@given(st.text(max_size=8), st.text(max_size=8))
def test_distance_is_symmetric_and_bounded_by_the_longer_word(left: str, right: str):
    assert distance(left, right) == distance(right, left)
    assert abs(len(left) - len(right)) <= distance(left, right) <= max(len(left), len(right))


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("l", "lr"),
        ("learning_rate", "lr"),
        ("weightdecay", "weight_decay"),
        ("weight-decay", "weight_decay"),
        ("wieght_deacy", "weight_decay"),
        ("weigh", "weight_decay"),
        ("momentum", None),
        ("", None),
    ],
)
def test_nearest_finds_slips_abbreviations_and_stubs(word: str, meant: str | None):
    assert nearest(word, ["lr", "weight_decay", "betas"]) == meant


def test_nearest_prefers_keys_that_are_not_used_yet():
    assert nearest("bets", ["best"], ["beta", "betas"]) == "best"


def test_a_slip_is_exactly_one_edit():
    assert [is_slip(word, "type") for word in ["type", "tpye", "typ", "tipp"]] == [False, True, True, False]


def test_did_you_mean_says_nothing_when_nothing_is_close():
    assert did_you_mean("bret", ["bert"]) == '; did you mean "bert"?'
    assert did_you_mean("zebra", ["bert"]) == ""
