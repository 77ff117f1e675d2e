"""Runs on Slurm: the script that is written and submitted, with a stand-in for `sbatch`."""

import os
import sys

import pytest

from bertx.ablation.outcome import read_outcome
from tests.ablation.planner import COMMAND
from tests.ablation.tiny_study import FACTORS, STUDY, study_file
from tests.commands import bertx

# Runs every task of an array job at once, one after the other, as the scheduler would.
SBATCH = """#!/bin/bash
count=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$1")
for number in $(seq 0 "$count"); do
  SLURM_ARRAY_TASK_ID=$number bash "$1" || echo "$number: $?" >> "$FAILED"
done
echo "Submitted batch job 17"
"""


@pytest.fixture
def path(tmp_path):
    return study_file(tmp_path / "place", {**STUDY, "factors": {"rate": FACTORS["rate"]}})


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A stand-in `sbatch`, whose runs only pretend."""
    command = tmp_path / "bin" / "sbatch"
    command.parent.mkdir()
    command.write_text(SBATCH)
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAILED", str(tmp_path / "failed.txt"))
    monkeypatch.setattr("bertx.ablation.running.slurm.WORKER", COMMAND)
    return command


def test_an_array_job_is_submitted_and_collected(path, tmp_path, slurm):
    options = ("--executor", "slurm", "--workers", 3, "--threads", 2, "--slurm=--partition=long")
    first = bertx("ablate", path, "-s", tmp_path / "s", *options)
    assert (first.status, "4 runs: Submitted batch job 17" in first.err) == (0, True)
    script = (tmp_path / "s" / "slurm" / "array.sh").read_text().splitlines()
    assert script[:7] == [
        "#!/bin/bash",
        "#SBATCH --job-name=bertx-s",
        "#SBATCH --array=0-3%3",
        "#SBATCH --cpus-per-task=2",
        f"#SBATCH --output={tmp_path}/s/slurm/%A_%a.out",
        "#SBATCH --signal=B:TERM@120",
        "#SBATCH --partition=long",
    ]
    second = bertx("ablate", path, "-s", tmp_path / "s", *options)
    assert (second.status, "Submitted" in second.err) == (0, False)
    assert {run.status for v in read_outcome(tmp_path / "s").variants for run in v.runs} == {"finished"}


def test_only_what_is_missing_is_submitted(path, tmp_path, slurm, monkeypatch):
    monkeypatch.setenv("CRASHING", "base, seed 2")
    bertx("ablate", path, "-s", tmp_path / "s", "--executor", "slurm")
    assert (tmp_path / "failed.txt").read_text() == "1: 3\n"
    assert bertx("ablate", path, "-s", tmp_path / "s", "--executor", "slurm").status == 3
    again = bertx("ablate", path, "-s", tmp_path / "s", "--executor", "slurm", "--retry-failed")
    assert "1 runs: Submitted" in again.err
    (job,) = (tmp_path / "s" / "slurm" / "jobs.txt").read_text().splitlines()
    assert "/base-seed2-" in job


def test_what_sbatch_refuses_is_told(path, tmp_path, slurm):
    slurm.write_text(f"#!{sys.executable}\nraise SystemExit('no such partition')\n")
    done = bertx("ablate", path, "-s", tmp_path / "s", "--executor", "slurm")
    assert (done.status, "array.sh: no such partition" in done.err) == (76, True)


def test_a_missing_sbatch_is_told(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = bertx("ablate", path, "-s", tmp_path / "s", "--executor", "slurm")
    assert (done.status, "sbatch is not found; on a machine that has it, submit" in done.err) == (2, True)
