import json

import pytest

import bertx as python_bertx
from tests.commands import bertx
from tests.tiny import REVIEWS, write_lines

GOOD = {"text": "a gripping film"}


@pytest.fixture(scope="module")
def run(trained):
    return trained.run


def test_run_folder_and_moved_archive_predict_the_same_without_network(trained, tmp_path, no_network):
    source = write_lines(tmp_path / "in.jsonl", GOOD, {"text": "dull"})
    first, second = (bertx("predict", place, source) for place in (trained.run, trained.archive))
    assert first.status == second.status == 0
    assert first.out == second.out
    assert [sorted(row) for row in first.rows] == [["label", "logits", "probs"]] * 2


def test_unpacked_archives_leave_nothing_behind(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert bertx("predict", trained.archive, "-", stdin=b'{"text": "good"}\n').status == 0
    assert list(tmp_path.iterdir()) == []


def test_ids_pass_through_and_labels_in_the_input_are_ignored(run, tmp_path):
    labels = ("positive", "never seen", None, 3.5, ["broken"])
    records = [{"id": f"r{number}", **GOOD, "label": label} for number, label in enumerate(labels)]
    rows = bertx("predict", run, write_lines(tmp_path / "in.jsonl", *records)).rows
    assert [row.pop("id") for row in rows] == ["r0", "r1", "r2", "r3", "r4"]
    assert len({row["label"] for row in rows}) == 1
    assert [row["probs"] for row in rows] == [pytest.approx(rows[0]["probs"], abs=1e-6)] * 5


def test_keep_fields_repeats_the_input_and_loses_nothing(run):
    line = json.dumps({"id": 7, **GOOD, "label": "odd", "stars": {"n": 5}}).encode()
    (row,) = bertx("predict", run, "-", "--keep-fields", stdin=line).rows
    assert (row["id"], row["text"], row["stars"]) == (7, "a gripping film", {"n": 5})
    assert (row["input_label"], row["label"] in ("positive", "negative")) == ("odd", True)


def test_a_bad_line_ends_the_prediction_with_its_place(run, tmp_path):
    source = write_lines(tmp_path / "in.jsonl", *[GOOD] * 4811, "[1, 2]", GOOD)
    done = bertx("predict", run, source, "--output-file", tmp_path / "out.jsonl")
    first, hint = done.err.splitlines()
    assert done.status == 4
    assert first.endswith("in.jsonl:4812: not a JSON object (found a list)")
    assert hint.endswith("out.jsonl.partial; add --resume to go on from there")
    assert not (tmp_path / "out.jsonl").exists()


def test_resume_goes_on_past_the_bad_line_with_skip(run, tmp_path):
    source = write_lines(tmp_path / "in.jsonl", *[GOOD] * 40, "[1, 2]", GOOD)
    command = ("predict", run, source, "--output-file", tmp_path / "out.jsonl")
    assert bertx(*command).status == 4
    assert bertx(*command, "--resume", "--on-error", "skip").status == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 41


def test_skip_leaves_bad_lines_out_and_says_so(run, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(b'\xff\n{"text": "good"}\n\n{"txt": "x"}\n{"text": 3}\n')
    done = bertx("predict", run, tmp_path / "in.jsonl", "--on-error", "skip")
    assert (done.status, len(done.rows)) == (0, 1)
    assert "in.jsonl:1: byte 0xff at offset 0 is not UTF-8" in done.err
    assert 'in.jsonl:4: "text" is missing' in done.err
    assert 'in.jsonl:5: "text" is a number (3); expected a string' in done.err
    assert "3 of 4 records could not be read and were left out" in done.err


@pytest.mark.parametrize(
    "content", [b'\xef\xbb\xbf{"text": "good"}\n', b'{"text": "good"}\r\n\r\n', b'{"text": "good"}']
)
def test_byte_order_mark_crlf_and_a_missing_last_newline_are_read(run, content):
    plain = bertx("predict", run, "-", stdin=b'{"text": "good"}\n')
    assert bertx("predict", run, "-", stdin=content).out == plain.out


def test_an_empty_input_gives_an_empty_output(run, tmp_path):
    done = bertx("predict", run, "-", stdin=b"")
    assert (done.status, done.out) == (0, "")


def test_silent_prints_nothing(run):
    done = bertx("predict", run, "-", "--silent", stdin=b'{"text": "good"}\n')
    assert (done.status, done.out) == (0, "")


def test_the_dataset_reader_reads_the_input(run):
    done = bertx("predict", run, REVIEWS / "test.jsonl", "--use-dataset-reader")
    plain = bertx("predict", run, REVIEWS / "test.jsonl")
    assert len(done.rows) == 296
    assert done.out == plain.out


def test_overrides_reach_the_reader(run):
    done = bertx("predict", run, "-", "-o", "dataset_reader.text_key=review", stdin=b'{"review": "good"}\n')
    assert done.out == bertx("predict", run, "-", stdin=b'{"text": "good"}\n').out


def test_the_command_and_python_give_the_same(run):
    done = bertx("predict", run, "-", stdin=b'{"text": "good"}\n{"text": "bad"}\n')
    assert done.rows == python_bertx.load(run).predict(["good", "bad"])


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_an_impossible_shard_is_status_two(run, shard):
    done = bertx("predict", run, "in.jsonl", "--shard", shard)
    assert (done.status, "expected I/N with I from 1 to N" in done.err) == (2, True)


def test_a_missing_input_is_told_and_leaves_no_output(run, tmp_path):
    done = bertx("predict", run, tmp_path / "no.jsonl", "--output-file", tmp_path / "out.jsonl")
    assert (done.status, "no.jsonl: does not exist" in done.err) == (4, True)
    assert list(tmp_path.iterdir()) == []
