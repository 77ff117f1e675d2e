import pytest

from bertx.errors import DataError
from bertx.runs.dry_run import dry_run
from bertx.runs.preparation import TrainingRequest
from tests.tiny import config, workplace


def report(tmp_path, limit=None, **changes):
    return dry_run(
        TrainingRequest(workplace(tmp_path / "place", config(**changes)), limit=limit)
    ).splitlines()


def test_it_tells_labels_lengths_truncation_steps_and_sizes(tmp_path):
    lines = report(tmp_path)
    assert lines[0] == "vocabulary labels: 2 tokens: negative, positive"
    assert lines[1].startswith("train: 2,028 instances; tokens: median ")
    assert lines[1].endswith("longest 64, 52,071 in all")
    assert "train.tokens.bert: 41 texts truncated (2.0%), 337 tokens lost" in lines
    assert "steps: 254 optimizer steps in at most 2 epochs" in lines
    assert "parameters: 282,530, of which 282,530 are trained" in lines
    assert any(line.startswith("memory: about ") for line in lines)
    assert any(line.startswith("disk: about 9 MiB") for line in lines)


def test_accumulation_and_limit_change_the_number_of_steps(tmp_path):
    lines = report(tmp_path, limit=100, trainer__num_gradient_accumulation_steps=4)
    assert "steps: 4 optimizer steps in at most 2 epochs" in lines


def test_a_frozen_encoder_is_not_counted_as_trained(tmp_path):
    assert "parameters: 282,530, of which 66 are trained" in report(
        tmp_path, limit=20, model__trainable=False
    )


def test_it_finds_what_training_would_find(tmp_path):
    with pytest.raises(DataError, match=r"data/no.jsonl: no such file"):
        report(tmp_path, train_data_path="data/no.jsonl")
