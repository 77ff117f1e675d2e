import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import bertx
from bertx.bert.frozen.layer import FrozenLayer
from bertx.data.padded_lengths import exact_lengths, padded_lengths
from bertx.errors import ConfigError, DataError, UsageError
from bertx.runs.prediction import precision
from bertx.runs.prediction.precision import in_precision
from bertx.runs.prediction.predict import PredictionRequest, predict
from tests.commands import bertx as command
from tests.runs.test_prediction import TEXTS
from tests.tiny import write_lines


@pytest.fixture(scope="module")
def run(trained):
    return bertx.load(trained.run)


@pytest.fixture(autouse=True)
def capable_processor(monkeypatch):
    """Lets the tests compute in bfloat16 and int8 everywhere, as oneDNN can, fast or not."""
    monkeypatch.setattr(precision, "_has", lambda instruction: True)


def labels(run):
    return [row["label"] for row in run.predict(TEXTS)]


def probabilities(run):
    return np.array([row["probs"] for row in run.predict(TEXTS)])


def layers(run):
    return {type(layer) for layer in run.model.bert.layers}


def test_auto_is_the_arithmetic_of_the_training(run):
    assert (in_precision(run, "auto").precision, in_precision(run, "auto")) == ("fp32", run)


@pytest.mark.parametrize(("wanted", "change"), [("bf16", 0.02), ("int8", 0.1)])
def test_fewer_bits_give_nearly_the_same(run, wanted, change):
    found = in_precision(run, wanted)
    assert layers(found) == {FrozenLayer}
    assert 0 < np.abs(probabilities(found) - probabilities(run)).max() < change
    agreeing = [one == other for one, other in zip(labels(found), labels(run), strict=True)]
    assert sum(agreeing) >= 0.97 * len(TEXTS)


def test_only_frozen_layers_have_no_padding_to_few_lengths(run):
    assert in_precision(run, "int8").rounded is exact_lengths
    assert (run.rounded, in_precision(run, "fp32").rounded) == (padded_lengths, padded_lengths)


def test_the_run_itself_stays_as_it_is(run):
    before = run.predict(TEXTS[:5])
    quantized = in_precision(run, "int8")
    quantized.predict(TEXTS[:5])
    assert FrozenLayer not in layers(run)
    assert run.predict(TEXTS[:5]) == before
    assert quantized.model.bert.embeddings.word.weight is run.model.bert.embeddings.word.weight


def test_without_its_instructions_bfloat16_is_computed_by_the_layers_themselves(run, monkeypatch):
    monkeypatch.setattr(precision, "_has", lambda instruction: False)
    found = in_precision(run, "bf16")
    assert (found.precision, FrozenLayer in layers(found)) == ("bf16", False)


def test_int8_needs_its_instructions(run, monkeypatch):
    monkeypatch.setattr(precision, "_has", lambda instruction: False)
    with pytest.raises(UsageError, match="--precision int8: this processor has no instructions for products"):
        in_precision(run, "int8")


def test_int8_needs_a_cpu(run):
    with pytest.raises(UsageError, match="the device is cuda:0; expected a CPU: give --device cpu"):
        in_precision(replace(run, device=torch.device("cuda:0")), "int8")


def test_int8_needs_an_encoder_that_can_be_frozen(trained):
    run = bertx.load(trained.run)
    run.model.bert.layers[0].feed_forward.output = nn.Linear(64, 32, bias=False)
    with pytest.raises(ConfigError, match="--precision int8: the encoder has linear layers of another kind"):
        in_precision(run, "int8")


def test_int8_tells_what_it_changes(run, tmp_path, caplog):
    caplog.set_level(logging.INFO, "bertx")
    source = write_lines(tmp_path / "in.jsonl", "[]", *({"text": text} for text in TEXTS * 2))
    request = PredictionRequest(source, tmp_path / "out.jsonl", precision="int8", on_error="skip")
    assert predict(run, request).written == 2 * len(TEXTS)
    expected = in_precision(run, "int8").predict((TEXTS * 2)[:511])
    plain = run.predict((TEXTS * 2)[:511])
    same = sum(one["label"] == other["label"] for one, other in zip(expected, plain, strict=True))
    assert f"int8: {100 * same / 511:.1f} % of 511 labels as in fp32; the largest change of a" in caplog.text


def test_int8_tells_nothing_of_an_input_without_records(run, tmp_path, caplog):
    caplog.set_level(logging.INFO, "bertx")
    (tmp_path / "in.jsonl").write_text("")
    predict(run, PredictionRequest(tmp_path / "in.jsonl", tmp_path / "out.jsonl", precision="int8"))
    assert ((tmp_path / "out.jsonl").read_bytes(), "labels as in" in caplog.text) == (b"", False)


def test_a_bad_line_in_int8_is_told_in_its_turn(run, tmp_path):
    source = write_lines(tmp_path / "in.jsonl", *[{"text": "good"}] * 40, "[]")
    with pytest.raises(DataError, match=r"in.jsonl:41: not a JSON object"):
        predict(run, PredictionRequest(source, tmp_path / "out.jsonl", precision="int8"))
    assert len((tmp_path / "out.jsonl.partial").read_bytes().splitlines()) == 32


def test_int8_can_be_resumed_to_the_same_bytes(run, tmp_path):
    source = write_lines(tmp_path / "in.jsonl", *[{"text": text} for text in TEXTS[:60]], "[]", {"text": "x"})
    options = {"precision": "int8", "on_error": "skip"}
    predict(run, PredictionRequest(source, tmp_path / "whole", **options))
    with pytest.raises(DataError, match="not a JSON object"):
        predict(run, PredictionRequest(source, tmp_path / "out", precision="int8"))
    predict(run, PredictionRequest(source, tmp_path / "out", resume=True, **options))
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_the_command_knows_precisions(trained):
    done = command("predict", trained.run, "-", "--precision", "fp32", stdin=b'{"text": "good"}\n')
    plain = command("predict", trained.run, "-", stdin=b'{"text": "good"}\n')
    assert (done.status, done.out) == (0, plain.out)
    assert command("predict", trained.run, "-", "--precision", "int4").status == 2
