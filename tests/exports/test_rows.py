import json
import re
from dataclasses import replace

import pytest

import bertx
from bertx.errors import DataError
from bertx.exports.rows import real_rows
from tests.tiny import REVIEWS, write_lines


@pytest.fixture(scope="module")
def run(trained):
    return bertx.load(trained.run)


def test_rows_keep_the_order_of_the_data_and_their_labels(run):
    rows = real_rows(run, run.model, REVIEWS / "test.jsonl")
    labels = [json.loads(line)["label"] for line in (REVIEWS / "test.jsonl").read_text().splitlines()]
    assert [run.model.labels[number] for number in rows.labels] == labels
    assert rows.lengths.tolist() == [
        length for batch in rows.batches for length in batch["attention_mask"].sum(dim=1).tolist()
    ]


def test_batches_have_many_shapes_and_padding(run):
    batches = real_rows(run, run.model, REVIEWS / "test.jsonl").batches
    assert {len(batch["input_ids"]) for batch in batches} >= {1, 2, 4, 8, 16, 32}
    assert len({batch["input_ids"].shape[1] for batch in batches}) > 10
    assert any(not batch["attention_mask"].all() for batch in batches)


def test_of_many_rows_some_of_all_lengths_are_taken(run, tmp_path):
    texts = [{"text": "good " * (1 + number % 50)} for number in range(3000)]
    rows = real_rows(run, run.model, write_lines(tmp_path / "many.jsonl", *texts))
    assert (len(rows.lengths), rows.lengths.min(), rows.lengths.max()) == (1024, 3, 52)
    assert rows.labels is None


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ["good " * number for number in range(1, 61)],
            r"few.jsonl: 60 rows; an export is compared with its run on 256 or more; give a larger file",
        ),
        (["good"] * 300, r"few.jsonl: all rows have 3 tokens; .* rows of several lengths; give another file"),
    ],
)
def test_too_few_or_uniform_rows_are_refused(run, tmp_path, texts, message):
    path = write_lines(tmp_path / "few.jsonl", *({"text": text} for text in texts))
    with pytest.raises(DataError, match=message):
        real_rows(run, run.model, path)


def test_without_data_those_of_the_run_are_taken(run):
    files = {
        split: {"files": [{"path": str(REVIEWS / f"{name}.jsonl")}]}
        for split, name in (("validation", "dev"), ("test", "test"), ("train", "train"))
    }
    rows = real_rows(replace(run, environment={"data": files}), run.model, None)
    assert len(rows.lengths) == 296 + 296


def test_data_that_are_gone_are_asked_for(run):
    message = "workplace/data/test.jsonl) are not here; give --data FILE with 256 rows or more, as the run's"
    with pytest.raises(DataError, match=re.escape(message)):
        real_rows(run, run.model, None)
    with pytest.raises(DataError, match="was validated and tested on are not here"):
        real_rows(replace(run, environment={}), run.model, None)
