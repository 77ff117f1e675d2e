"""The loop that makes runs, with runs that only pretend."""

import json
import threading
from collections import Counter

import pytest

from bertx.ablation.outcome import read_outcome
from bertx.ablation.running import runner
from bertx.ablation.running.ablate import ablate
from bertx.ablation.running.claims import claimed
from bertx.ablation.running.job import make_job
from bertx.ablation.running.progress import Counts, Table
from bertx.ablation.running.runner import Runner, RunOptions
from bertx.ablation.running.worker import DONE, FAILED, work
from bertx.errors import ConfigError, DataError, Preempted, UsageError
from tests.ablation.tiny_study import (
    FACTORS,
    STUDY,
    Ended,
    Inline,
    plan_of,
    pretend,
    pretended,
    study_file,
    write_study,
)

ALL = [f"{name}, seed {seed}" for name in ("base", "dropout=0.2", "dropout=0.3", "rate") for seed in (1, 2)]


@pytest.fixture
def path(tmp_path):
    return study_file(tmp_path / "place")


def failing(*titles):
    def make(job):
        if job.title in titles:
            raise DataError(f"{job.title}: no luck")
        return pretend(job)

    return make


def test_every_run_is_made_once(path, tmp_path):
    assert pretended(path, tmp_path / "s").made == ALL
    assert pretended(path, tmp_path / "s").made == []
    outcome = read_outcome(tmp_path / "s")
    assert (outcome.name, outcome.primary, outcome.metrics) == ("study", "+accuracy", ["accuracy", "loss"])
    assert [variant.is_comparison for variant in outcome.variants] == [True, False, False, False]
    assert {run.status for variant in outcome.variants for run in variant.runs} == {"finished"}


def test_results_do_not_depend_on_the_order_of_events(path, tmp_path):
    pretended(path, tmp_path / "a")
    pretended(path, tmp_path / "b", RunOptions(limit=3))
    pretended(path, tmp_path / "b")
    assert (tmp_path / "a" / "results.jsonl").read_bytes() == (tmp_path / "b" / "results.jsonl").read_bytes()


def test_a_failure_harms_no_other_run_and_is_made_anew_only_if_asked(path, tmp_path):
    assert pretended(path, tmp_path / "s", make=failing(ALL[2], ALL[5])).made == ALL
    assert pretended(path, tmp_path / "s").made == []
    runs = [run for variant in read_outcome(tmp_path / "s").variants for run in variant.runs]
    assert [run.error for run in runs if run.status == "failed"] == [
        f"{ALL[2]}: no luck",
        f"{ALL[5]}: no luck",
    ]
    assert pretended(path, tmp_path / "s", RunOptions(retry_failed=True)).made == [ALL[2], ALL[5]]
    assert {run.status for v in read_outcome(tmp_path / "s").variants for run in v.runs} == {"finished"}


def test_fail_fast_starts_nothing_more(path, tmp_path):
    # What is started in the same moment is started; here, each run ends as soon as it begins.
    class One(Inline):
        def has_room(self):
            return len(self.made) < 2

    executor = One(failing(ALL[1]))
    _, counts = ablate(plan_of(path), tmp_path / "s", executor, options=RunOptions(fail_fast=True))
    assert (executor.made, counts.finished, counts.failed) == (ALL[:2], 1, 1)


def test_a_limit_leaves_the_rest_for_later(path, tmp_path):
    assert pretended(path, tmp_path / "s", RunOptions(limit=3)).made == ALL[:3]
    statuses = [run.status for variant in read_outcome(tmp_path / "s").variants for run in variant.runs]
    assert statuses == ["finished"] * 3 + ["missing"] * 5
    assert pretended(path, tmp_path / "s", RunOptions(limit=3)).made == ALL[3:6]


def test_more_seeds_and_levels_add_only_their_own_runs(path, tmp_path):
    pretended(path, tmp_path / "s")
    more = {**STUDY, "seeds": [2, 1, 3], "factors": {**FACTORS, "epochs": {"trainer.num_epochs": [2]}}}
    made = pretended(write_study(path, more), tmp_path / "s").made
    assert sorted(made) == sorted(
        [f"epochs, seed {seed}" for seed in (1, 2, 3)] + [f"{title[:-1]}3" for title in ALL[::2]]
    )


def test_a_variant_with_another_name_keeps_its_runs(path, tmp_path):
    pretended(path, tmp_path / "s")
    renamed = {**STUDY, "factors": {"drop": FACTORS["dropout"], "rate": FACTORS["rate"]}}
    assert pretended(write_study(path, renamed), tmp_path / "s").made == []
    folders = [run.folder for variant in read_outcome(tmp_path / "s").variants for run in variant.runs]
    assert sum("runs/dropout=" in folder for folder in folders) == 4


def test_two_planners_never_make_a_run_twice(path, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SECONDS_BETWEEN_LOOKS", 0.01)
    plan = plan_of(write_study(path, {**STUDY, "seeds": [1]}))
    for trial in range(100):
        made, together = Counter(), threading.Barrier(2)

        def make(job, made=made):
            made[job.title] += 1  # with the claim held
            return pretend(job)

        def planner(folder=tmp_path / f"s{trial}", together=together, make=make):
            together.wait()
            ablate(plan, folder, Inline(make))

        planners = [threading.Thread(target=planner) for _ in range(2)]
        for thread in planners:
            thread.start()
        for thread in planners:
            thread.join()
        assert made == dict.fromkeys(ALL[::2], 1)


def test_a_run_that_another_planner_leaves_unfinished_is_made(path, tmp_path):
    plan, folder = plan_of(path), tmp_path / "s"
    job = make_job(plan, plan.runs[0], folder, device=None, num_threads=1)
    executor = Inline(pretend)
    with claimed(job.claim) as mine:
        assert mine
        thread = threading.Thread(target=ablate, args=(plan, write_nothing(folder), executor))
        thread.start()
        while len(executor.made) < 7:
            thread.join(0.01)
        assert thread.is_alive()
    thread.join()
    assert executor.made == [*ALL[1:], ALL[0]]


def write_nothing(folder):
    """Makes the folder look like that of the study, since a claim is in it already."""
    (folder / "study.json").write_text('{"name": "study"}')
    return folder


def test_a_process_that_dies_without_a_word_is_a_failure(path, tmp_path):
    class Killed(Inline):
        def start(self, job):
            return Ended(-9 if job.title == ALL[0] else 7 if job.title == ALL[1] else work(job, pretend))

    _, counts = ablate(plan_of(path), tmp_path / "s", Killed(pretend))
    errors = [run.error for run in read_outcome(tmp_path / "s").variants[0].runs]
    assert (
        errors[0]
        == "its process was killed by SIGKILL; the machine may be short of memory: give fewer --workers"
    )
    assert (errors[1], counts.failed, counts.finished) == ("its process ended with status 7", 2, 6)


def test_a_run_that_was_preempted_is_neither_finished_nor_failed(path, tmp_path):
    def make(job):
        if job.title == ALL[3]:
            raise Preempted("saved")
        return pretend(job)

    with pytest.raises(Preempted, match="runs were stopped: 7 of 8 runs finished, 0 failed, 1 left"):
        pretended(path, tmp_path / "s", make=make)
    assert pretended(path, tmp_path / "s").made == [ALL[3]]


def test_an_error_of_ours_is_told_in_its_words_and_a_bug_with_its_traceback(path, tmp_path, capsys):
    def make(job):
        if job.title == ALL[0]:
            raise ConfigError("first line\nsecond line")
        raise ZeroDivisionError("division")

    pretended(path, tmp_path / "s", make=make)
    errors = [run.error for run in read_outcome(tmp_path / "s").variants[0].runs]
    assert errors == ["first line", "ZeroDivisionError: division"]
    assert "Traceback" in capsys.readouterr().err


def test_a_finished_run_is_not_made_by_a_late_process(path, tmp_path):
    pretended(path, tmp_path / "s")
    plan = plan_of(path)
    job = make_job(plan, plan.runs[0], tmp_path / "s", device=None, num_threads=1)
    assert work(job, failing(job.title)) == DONE
    (job.run_folder / "run.json").unlink()
    assert work(job, failing(job.title)) == FAILED


def test_a_record_of_another_run_does_not_count(path, tmp_path):
    pretended(path, tmp_path / "s")
    plan = plan_of(path)
    job = make_job(plan, plan.runs[0], tmp_path / "s", device=None, num_threads=1)
    record = json.loads((job.run_folder / "run.json").read_text())
    (job.run_folder / "run.json").write_text(json.dumps({**record, "identity": "f" * 64}))
    assert pretended(path, tmp_path / "s").made == [ALL[0]]


def test_folders_of_others_are_refused(path, tmp_path):
    pretended(path, tmp_path / "s")
    other = write_study(path.with_name("another.jsonnet"), STUDY)
    with pytest.raises(UsageError, match=r's: is the folder of the study "study", not of "another"; choose'):
        pretended(other, tmp_path / "s")
    with pytest.raises(UsageError, match="place: is not empty and not the folder of a study"):
        pretended(path, path.parent)
    with pytest.raises(UsageError, match="is a file; name a folder"):
        pretended(path, path)


def test_nothing_to_do_is_done_at_once():
    assert Runner([], Inline(pretend), Table("accuracy")).run() == Counts(0)
