"""Claims: one holder at a time, and none that outlives its process."""

import subprocess
import sys

import pytest

from bertx.ablation.running.claims import claimed, is_claimed
from bertx.errors import DataError
from tests.processes import REPOSITORY

HOLD = """
import sys, time
from pathlib import Path
from bertx.ablation.running.claims import claimed
with claimed(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


def test_one_holds_a_claim_at_a_time(tmp_path):
    path = tmp_path / "claims" / "a"
    with claimed(path) as first, claimed(path) as second:
        assert (first, second, is_claimed(path)) == (True, False, True)
    assert not is_claimed(path)
    with claimed(path) as again:
        assert again


def test_a_process_that_is_killed_holds_nothing(tmp_path):
    path = tmp_path / "a"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    with process:
        assert process.stdout.readline() == b"True\n"
        assert is_claimed(path)
        process.kill()
        process.wait()
    assert not is_claimed(path)


def test_a_claim_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match=r"cannot be written .*choose another place"),
        claimed(tmp_path / "file" / "a"),
    ):
        pass
