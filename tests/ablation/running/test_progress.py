"""How far runs are, as their files tell."""

import io
import json
import sys

import pytest

from bertx.ablation.running import progress
from bertx.ablation.running.job import make_job
from bertx.ablation.running.progress import Counts, Table, last_lines, state_of
from tests.ablation.tiny_study import plan_of, study_file

STEP = {"kind": "step", "step": 2, "loss": 0.4512}
VALIDATION = {"kind": "validation", "step": 2, "accuracy": 0.8311, "loss": 0.5}


@pytest.fixture
def job(tmp_path):
    plan = plan_of(study_file(tmp_path / "p", {"factors": {"d": {"model.dropout": [0.2]}}}))
    made = make_job(plan, plan.runs[1], tmp_path / "s", device=None, num_threads=1)
    made.run_folder.mkdir(parents=True)
    return made


def write(job, text):
    (job.run_folder / "metrics.jsonl").write_text(text, encoding="utf-8")


def test_a_run_that_has_written_nothing_is_starting(job):
    assert state_of(job, "accuracy") == "d, seed 1: starting"


def test_a_run_is_where_its_last_lines_say(job):
    write(job, "".join(json.dumps(line) + "\n" for line in ({**STEP, "step": 1}, STEP, VALIDATION)))
    assert state_of(job, "accuracy") == "d, seed 1: step 2/3, loss 0.4512, accuracy 0.8311"
    assert state_of(job, "f1") == "d, seed 1: step 2/3, loss 0.4512"


def test_lines_that_are_cut_off_do_not_matter(job):
    write(job, "x" * 5000 + "\n" + json.dumps(STEP) + "\n" + '{"kind": "st')
    assert last_lines(job) == {"step": STEP}


def test_a_table_on_a_terminal_is_drawn_over_itself(job, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(progress.Progress, "shows_bars", lambda: True)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(sys, "stderr", terminal)
    table = Table("accuracy")
    table.show([job], Counts(4, finished=1))
    table.say("one: finished")
    table.show([], Counts(4, finished=2))
    assert terminal.getvalue() == (
        "d, seed 1: starting\n1 of 4 runs finished, 0 failed, 3 left\n"
        "\x1b[2F\x1b[Jone: finished\n2 of 4 runs finished, 0 failed, 2 left\n"
    )


def test_elsewhere_a_line_comes_now_and_then(job, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0)
    table = Table("accuracy")
    table.show([job], Counts(1))
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    table.show([job], Counts(1))
    assert capsys.readouterr().err == "d, seed 1: starting\n"
