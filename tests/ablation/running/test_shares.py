"""Shares of a machine."""

import os

import pytest

from bertx.ablation.running.shares import Share, shares, usable_cores


@pytest.mark.parametrize(
    ("workers", "expected"),
    [(1, [(0, 1, 2, 3)]), (2, [(0, 1), (2, 3)]), (3, [(0,), (1,), (2, 3)]), (4, [(0,), (1,), (2,), (3,)])],
)
def test_cores_are_divided_among_workers(workers, expected):
    assert [share.cores for share in shares(workers, [0, 1, 2, 3], [])] == expected


def test_workers_share_cores_only_where_there_are_too_few():
    assert [share.cores for share in shares(3, [4, 7], [])] == [(4,), (4,), (7,)]


def test_gpus_are_handed_out_in_turn():
    assert shares(3, [0, 1, 2], ["2", "5"]) == [Share((0,), "2"), Share((1,), "5"), Share((2,), "2")]


def test_only_cores_that_this_process_has_are_given_away(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5, 3}, raising=False)
    assert usable_cores() == [3, 5]
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert usable_cores() == [0, 1]
