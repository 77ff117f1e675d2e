"""`bertx ablate`."""

import json
import re

import pytest

from bertx.ablation.running import local
from tests.ablation.planner import COMMAND
from tests.ablation.tiny_study import FACTORS, STUDY, study_file, write_study
from tests.commands import bertx


@pytest.fixture
def path(tmp_path):
    return study_file(tmp_path / "place", {**STUDY, "factors": {"rate": FACTORS["rate"]}})


@pytest.fixture
def pretending(monkeypatch):
    """Lets runs be processes that only pretend."""
    monkeypatch.setattr(local, "WORKER", COMMAND)


def test_a_study_is_run_and_told(path, tmp_path, pretending):
    done = bertx("ablate", path, "-s", tmp_path / "s", "--workers", 2)
    assert (done.status, done.out.splitlines()[-1]) == (0, str(tmp_path / "s" / "report.html"))
    assert done.out.startswith((tmp_path / "s" / "table.md").read_text(encoding="utf-8"))
    assert "| rate | 2/2 | 0.500" in done.out
    assert "rate, seed 2: finished: accuracy 0.5000, loss 1.0000 (" in done.err
    assert "(4 of 4 runs finished, 0 failed, 0 left)" in done.err


def test_failed_runs_have_their_own_status(path, tmp_path, pretending, monkeypatch):
    monkeypatch.setenv("CRASHING", "rate, seed 1")
    done = bertx("ablate", path, "-s", tmp_path / "s")
    assert (done.status, "rate, seed 1: failed: no luck\n  its log: " in done.err) == (3, True)
    assert "3 of 4 runs finished, 1 failed, 0 left; --retry-failed makes them anew" in done.err
    assert "no luck" in next((tmp_path / "s" / "logs").glob("rate-seed1-*.log")).read_text()
    assert bertx("ablate", path, "-s", tmp_path / "s").status == 3
    monkeypatch.delenv("CRASHING")
    assert bertx("ablate", path, "-s", tmp_path / "s", "--retry-failed").status == 0


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(path, tmp_path, pretending):
    done = bertx("ablate", path, "-s", tmp_path / "s", "--dry-run", "--workers", 2)
    lines = done.out.splitlines()
    assert re.fullmatch(r"base, seed 1: no change; 3 steps; about \d+ s", lines[0])
    assert re.fullmatch(r"rate, seed 2: trainer.optimizer.lr = 0.001; 3 steps; about \d+ s", lines[3])
    assert lines[4] == "4 runs of 2 variants, 4 of them to be made: 12 steps"
    assert re.match(
        r"time: about \d+ s with 2 at once; measured: [\d.e-]+ s a step, [\d.e-]+ s a val", lines[5]
    )
    assert re.fullmatch(r"disk: about \d+ MiB, and \d+ MiB for each run at a time", lines[6])
    assert (done.status, (tmp_path / "s").exists()) == (0, False)


def test_a_dry_run_knows_what_is_done(path, tmp_path, pretending):
    bertx("ablate", path, "-s", tmp_path / "s", "--limit", 1)
    lines = bertx("ablate", path, "-s", tmp_path / "s", "--dry-run").out.splitlines()
    assert lines[0] == "base, seed 1: no change; 3 steps; finished"
    assert lines[4] == "4 runs of 2 variants, 3 of them to be made: 9 steps"


def test_overrides_edit_the_study(path, tmp_path, pretending):
    edits = ("-o", "seeds=[7]", "-o", "base.model.dropout=0.4")
    assert bertx("ablate", path, "-s", tmp_path / "s", *edits).status == 0
    (config,) = (tmp_path / "s" / "configs").glob("base-seed7-*.json")
    assert json.loads(config.read_text())["model"]["dropout"] == 0.4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "bertx ablate: -s DIR is missing; it names the folder of the study"),
        (("-s", "PLACE"), "place: is not empty and not the folder of a study"),
        (("-s", "NEW", "-o", "seeds=[]"), "-o seeds=[]: seeds: is empty"),
        (("-s", "NEW", "-o", "sedes=[1]"), '-o sedes=[1]: sedes: unknown key; did you mean "seeds"?'),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(path, tmp_path, arguments, message):
    places = {"PLACE": str(path.parent), "NEW": str(tmp_path / "s")}
    done = bertx("ablate", path, *(places.get(argument, argument) for argument in arguments))
    assert (done.status, message in done.err, (tmp_path / "s").exists()) == (2, True, False)


def test_a_study_that_is_missing_is_told(tmp_path):
    done = bertx("ablate", tmp_path / "no.jsonnet", "-s", tmp_path / "s")
    assert (done.status, "no.jsonnet: no such file" in done.err) == (2, True)


def test_the_folder_of_another_study_is_refused(path, tmp_path, pretending):
    bertx("ablate", path, "-s", tmp_path / "s", "--limit", 1)
    other = write_study(path.with_name("other.jsonnet"), STUDY)
    done = bertx("ablate", other, "-s", tmp_path / "s")
    assert (done.status, 'is the folder of the study "study", not of "other"' in done.err) == (2, True)
