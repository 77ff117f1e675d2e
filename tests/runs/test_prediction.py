import json
import os
import signal
import subprocess
import sys
import time
from itertools import islice

import pytest

import bertx
from bertx.errors import DataError, UsageError
from bertx.runs.prediction import computation, records
from bertx.runs.prediction import predict as prediction
from bertx.runs.prediction.predict import PredictionRequest, predict
from bertx.runs.prediction.records import FIRST_WINDOW, LARGEST_WINDOW, Item, windows
from tests.tiny import REVIEWS, write_lines

TEXTS = [json.loads(line)["text"] for line in (REVIEWS / "test.jsonl").read_text().splitlines()]


class Killed(BaseException):
    """Ends a prediction as a kill would: nothing is handled."""


@pytest.fixture(scope="module")
def run(trained):
    return bertx.load(trained.run)


@pytest.fixture
def lines(tmp_path):
    """An input of 200 lines, whose windows have 32, 64 and 104 lines, with bad ones in the second."""
    made = [{"id": number, "text": TEXTS[number % 120]} for number in range(200)]
    made[50], made[60] = "[]", "{"
    return write_lines(tmp_path / "in.jsonl", *made)


def request(source, output, **options):
    return PredictionRequest(source, output, **{"on_error": "quarantine", **options})


def beside(output):
    return sorted(path.name for path in output.parent.glob(f"{output.name}*"))


def items(number, line=b"{}"):
    return iter(Item("in", place, line) for place in range(number))


def killed_after(monkeypatch, step, count):
    """Lets a step of the prediction work `count` times, then kills."""
    owner, name = step
    real, calls = getattr(owner, name), iter(range(count))

    def dying(*arguments, **options):
        if next(calls, None) is None:
            raise Killed
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, dying)


def test_windows_grow_from_small_to_the_largest():
    sizes = [len(window) for window in windows(items(30_000), 32)]
    assert sizes == [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 8192, 5456]


def test_windows_of_very_long_records_end_early():
    assert [len(window) for window in windows(items(20, line=bytes(6_000_000)), 32)] == [3, 3, 3, 3, 3, 3, 2]


def test_windows_go_on_as_if_there_had_been_no_interruption():
    whole = [len(window) for window in windows(items(40_000), 32)]
    for done in range(len(whole)):
        rest = islice(items(40_000), sum(whole[:done]), None)
        assert [len(window) for window in windows(rest, 32, done)] == whole[done:]


def test_only_one_window_is_read_ahead():
    source = items(10**9)
    taken = windows(source, FIRST_WINDOW)
    for _ in range(12):
        next(taken)
    assert next(source).number == sum(min(FIRST_WINDOW << k, LARGEST_WINDOW) for k in range(12))


def test_order_is_kept_whatever_the_lengths(run):
    texts = ["good", " ".join(TEXTS[:2]), "bad film", *TEXTS]
    together = run.predict(texts)
    alone = [run.predict([text])[0] for text in texts]
    assert [row["label"] for row in together] == [row["label"] for row in alone]
    assert [row["probs"] for row in together] == [pytest.approx(row["probs"], abs=1e-5) for row in alone]


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_the_batch_size_changes_nothing_but_noise(run, batch_size):
    expected = [row["logits"] for row in run.predict(TEXTS)]
    found = [row["logits"] for row in run.predict(TEXTS, batch_size=batch_size)]
    assert found == [pytest.approx(logits, abs=1e-5) for logits in expected]


def test_python_and_the_command_give_the_same(run, tmp_path):
    source = write_lines(tmp_path / "in.jsonl", *({"text": text} for text in TEXTS[:30]))
    predict(run, PredictionRequest(source, tmp_path / "out.jsonl"))
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert written == run.predict(TEXTS[:30])


def test_python_names_the_input_that_is_wrong(run):
    with pytest.raises(DataError, match=r'^input 2: "text" is missing'):
        run.predict(["good", {"txt": "bad"}])


def test_probabilities_are_those_of_the_logits(run):
    (row,) = run.predict(["a gripping film"])
    assert list(row) == ["label", "probs", "logits"]
    assert sum(row["probs"]) == pytest.approx(1, abs=1e-6)
    assert (row["logits"][1] > row["logits"][0]) == (row["probs"][1] > row["probs"][0])


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize(
    "step",
    [
        (computation.Computation, "encoded"),
        (computation.Computation, "computed"),
        (prediction.Sinks, "write"),
        (prediction.Sinks, "note"),
    ],
    ids=["encoding", "computing", "writing", "noting"],
)
def test_resuming_after_a_kill_gives_the_same_bytes(run, lines, tmp_path, monkeypatch, step, count):
    predict(run, request(lines, tmp_path / "whole.jsonl"))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, step, count)
        predict(run, request(lines, tmp_path / "out.jsonl"))
    assert not (tmp_path / "out.jsonl").exists()
    tally = predict(run, request(lines, tmp_path / "out.jsonl", resume=True))
    assert (tally.inputs, tally.written, tally.bad) == (200, 198, 2)
    for ending in ("", ".quarantine"):
        whole, resumed = (tmp_path / f"{name}.jsonl{ending}" for name in ("whole", "out"))
        assert resumed.read_bytes() == whole.read_bytes()
    assert beside(tmp_path / "out.jsonl") == ["out.jsonl", "out.jsonl.quarantine"]


def test_resuming_after_the_last_renaming_finds_nothing_to_do(run, lines, tmp_path, monkeypatch):
    output = tmp_path / "out.jsonl"
    real = type(output).unlink
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(
            type(output), "unlink", lambda path, **o: killed() if output.exists() else real(path, **o)
        )
        predict(run, request(lines, output, on_error="skip"))
    written = output.read_bytes()
    predict(run, request(lines, output, on_error="skip", resume=True))
    assert (output.read_bytes(), beside(output)) == (written, ["out.jsonl"])


def killed():
    raise Killed


def test_a_real_kill_can_be_resumed(run, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "FIRST_OF_A_FILE", records.FIRST_OF_A_FILE)  # as in the process
    source = write_lines(tmp_path / "in.jsonl", *({"text": text} for text in TEXTS * 60))
    output = tmp_path / "out.jsonl"
    command = ["-m", "bertx", "predict", trained.run, source, "--output-file", output]
    with subprocess.Popen([sys.executable, *map(str, command)]) as process:
        while not (tmp_path / "out.jsonl.progress").exists() and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not output.exists()
    predict(run, PredictionRequest(source, output, resume=True))
    predict(run, PredictionRequest(source, tmp_path / "whole.jsonl"))
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def interrupted(run, lines, output, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, (computation.Computation, "computed"), 2)
        predict(run, request(lines, output))


def test_resuming_drops_what_was_written_after_the_last_note(run, lines, tmp_path, monkeypatch):
    predict(run, request(lines, tmp_path / "whole.jsonl"))
    interrupted(run, lines, tmp_path / "out.jsonl", monkeypatch)
    with (tmp_path / "out.jsonl.partial").open("ab") as file:
        file.write(b"half a window" * 10_000)
    predict(run, request(lines, tmp_path / "out.jsonl", resume=True))
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_resuming_needs_the_same_beginning_of_the_input(run, lines, tmp_path, monkeypatch):
    interrupted(run, lines, tmp_path / "out.jsonl", monkeypatch)
    lines.write_text(lines.read_text().replace("the", "teh", 1))
    with pytest.raises(DataError, match="the first 96 records of the input are not those"):
        predict(run, request(lines, tmp_path / "out.jsonl", resume=True))


def test_resuming_goes_on_with_a_longer_input(run, lines, tmp_path, monkeypatch):
    interrupted(run, lines, tmp_path / "out.jsonl", monkeypatch)
    with lines.open("a") as file:
        file.write('{"text": "one more"}\n')
    assert predict(run, request(lines, tmp_path / "out.jsonl", resume=True)).inputs == 201


@pytest.mark.parametrize("options", [{"keep_fields": True}, {"precision": "int8"}])
def test_resuming_needs_the_same_options(run, lines, tmp_path, monkeypatch, options):
    interrupted(run, lines, tmp_path / "out.jsonl", monkeypatch)
    with pytest.raises(DataError, match=r"out.jsonl.progress: was made by another run or with other options"):
        predict(run, request(lines, tmp_path / "out.jsonl", resume=True, **options))


def test_a_partial_file_that_was_cut_is_not_gone_on_with(run, lines, tmp_path, monkeypatch):
    interrupted(run, lines, tmp_path / "out.jsonl", monkeypatch)
    os.truncate(tmp_path / "out.jsonl.partial", 100)
    with pytest.raises(DataError, match=r"out.jsonl.partial: is shorter than its note of progress says"):
        predict(run, request(lines, tmp_path / "out.jsonl", resume=True))


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"bytes": "x"}', "\x00"])
def test_a_broken_note_is_told(run, lines, tmp_path, note):
    (tmp_path / "out.jsonl.progress").write_text(note)
    with pytest.raises(DataError, match=r"out.jsonl.progress: is no note of progress; leave out --resume"):
        predict(run, request(lines, tmp_path / "out.jsonl", resume=True))


def test_a_complete_file_is_not_resumed(run, lines, tmp_path):
    (tmp_path / "out.jsonl").write_text("done before")
    with pytest.raises(UsageError, match=r"out.jsonl: is complete; leave out --resume"):
        predict(run, request(lines, tmp_path / "out.jsonl", resume=True))
    assert (tmp_path / "out.jsonl").read_text() == "done before"


def test_a_failure_in_the_first_window_leaves_no_files(run, lines, tmp_path):
    lines.write_text("[]\n")
    with pytest.raises(DataError, match=r"in.jsonl:1: not a JSON object \(found a list\)"):
        predict(run, PredictionRequest(lines, tmp_path / "out.jsonl"))
    assert beside(tmp_path / "out.jsonl") == []


def test_the_quarantine_keeps_place_reason_and_line(run, lines, tmp_path):
    predict(run, request(lines, tmp_path / "out.jsonl"))
    bad = [json.loads(line) for line in (tmp_path / "out.jsonl.quarantine").read_text().splitlines()]
    assert [row["line"] for row in bad] == ["[]", "{"]
    assert bad[0]["place"].endswith("in.jsonl:51")
    assert bad[0]["error"].endswith("in.jsonl:51: not a JSON object (found a list)")


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_shards_together_are_the_whole(run, tmp_path, parts):
    source = write_lines(tmp_path / "in.jsonl", *({"id": i, "text": text} for i, text in enumerate(TEXTS)))
    rows = []
    for number in range(1, parts + 1):
        predict(run, PredictionRequest(source, tmp_path / "part", shard=(number, parts)))
        rows += [json.loads(line) for line in (tmp_path / "part").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(range(296))
    expected = run.predict(TEXTS)
    assert [row["probs"] for row in rows] == [pytest.approx(row["probs"], abs=1e-5) for row in expected]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "in.jsonl", "resume": True}, "--resume needs --output-file"),
        ({"source": "in.jsonl", "on_error": "quarantine"}, "quarantine needs --output-file"),
        ({"source": None, "shard": (1, 2)}, "standard input excludes --shard"),
        ({"source": None, "use_dataset_reader": True}, "standard input excludes .*--use-dataset-reader"),
        ({"source": "in.jsonl", "shard": (3, 2)}, "--shard 3/2: expected I/N with I from 1 to N"),
        ({"source": "in.jsonl", "output": "in.jsonl"}, "--output-file .*in.jsonl: is the input"),
    ],
)
def test_options_that_exclude_each_other_are_refused(run, tmp_path, options, message):
    write_lines(tmp_path / "in.jsonl", {"text": "good"})
    paths = {key: tmp_path / options[key] for key in ("source", "output") if options.get(key)}
    with pytest.raises(UsageError, match=message):
        predict(run, PredictionRequest(**{**options, **paths}))


def test_a_device_is_never_replaced_by_a_file(run, tmp_path):
    source = write_lines(tmp_path / "in.jsonl", {"text": "good"})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: is a device or a pipe; expected the name of a file"):
        predict(run, PredictionRequest(source, tmp_path / "pipe"))


def test_a_line_that_is_too_long_for_the_model_is_named(trained, tmp_path):
    key = "dataset_reader.token_indexers.bert.max_pieces"
    run = bertx.load(trained.run, overrides={key: 512})
    source = write_lines(tmp_path / "in.jsonl", {"text": "good"}, {"text": "very " * 99})
    with pytest.raises(DataError, match=r"in.jsonl:2: the longest text has 101 pieces.* at most 64"):
        predict(run, PredictionRequest(source, tmp_path / "out"))
    assert predict(run, PredictionRequest(source, tmp_path / "out", on_error="skip")).written == 1


def test_items_parse_only_what_they_are_asked_for():
    item = records.Item("in.jsonl", 7, b'{"a": 1}')
    assert (item.place, item.record()) == ("in.jsonl:7", {"a": 1})
