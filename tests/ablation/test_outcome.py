"""The files of a study, from which tables and pages are made."""

import json

import pytest

from bertx.ablation.outcome import RunOutcome, StudyOutcome, VariantOutcome, read_outcome, write_outcome
from bertx.errors import CheckpointError


def outcome() -> StudyOutcome:
    finished = RunOutcome("base", 1, None, "ab", "finished", "runs/a", {"accuracy": 0.5}, None, 2.5, 7, 10, 5)
    failed = RunOutcome("é", 1, 0, "cd", "failed", "runs/b", {}, "its process was killed by SIGKILL")
    variants = [
        VariantOutcome("base", {}, True, None, [finished]),
        VariantOutcome("é", {"model.dropout": 0.1}, False, 0.3, [failed]),
    ]
    return StudyOutcome("s", "grid", ["accuracy"], "+accuracy", [1], variants, "test")


def test_what_was_written_is_read(tmp_path):
    write_outcome(tmp_path, outcome())
    assert read_outcome(tmp_path) == outcome()


def test_a_line_ends_with_what_differs_between_machines(tmp_path):
    write_outcome(tmp_path, outcome())
    first = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert first.endswith('"num_trainable_parameters": 5, "seconds": 2.5, "peak_memory_bytes": 7}')
    assert list(json.loads(first))[:3] == ["variant", "changes", "fraction"]


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"study.json: cannot be read .*expected the folder of a study"):
        read_outcome(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "s"}'])
def test_a_broken_study_is_refused(tmp_path, text):
    write_outcome(tmp_path, outcome())
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"is broken .*run the study once more"):
        read_outcome(tmp_path)
