"""Memory that a process keeps."""

import subprocess
import sys

import pytest

from bertx.huge_pages import keep_memory

PROGRAM = """
import resource
import torch
from bertx.huge_pages import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

{limit}
first, is_kept = faults(), keep_memory()
faults(), faults()  # glibc leaves small pieces beside the first large ones
print(first > 8 * 1000, is_kept, faults())
"""
LIMIT = "resource.setrlimit(resource.RLIMIT_AS, (64 << 30, 64 << 30))"


def run(limit: str) -> list[str]:
    """Returns whether memory came in small pages, whether it is kept, and how often it came later on."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(limit=limit)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_memory_that_is_kept_comes_from_the_system_once() -> None:
    was_new, is_kept, faults = run(limit="")
    assert [was_new, is_kept] == ["True", "True"]
    assert int(faults) < 8


def test_a_process_whose_memory_is_limited_leaves_all_as_it_is() -> None:
    was_new, is_kept, faults = run(LIMIT)
    assert [was_new, is_kept] == ["True", "False"]
    assert int(faults) > 8 * 1000


def test_other_systems_leave_all_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_memory()
