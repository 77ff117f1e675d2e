import json
import re
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import onnxruntime
import pytest
import torch
import transformers

import bertx
from bertx.bert.fused.routing import step_by_step
from bertx.bert.lora import lora_layers
from bertx.errors import ExportError, UsageError
from bertx.exports import export as module
from bertx.exports.export import ExportRequest, export
from tests.tiny import REVIEWS, config, train_once

TEST = REVIEWS / "test.jsonl"
TEXTS = [json.loads(line)["text"] for line in TEST.read_text(encoding="utf-8").splitlines()]
FORMATS = ("onnx", "hf", "keras", "torch_export")


@pytest.fixture
def run(trained):
    return bertx.load(trained.run, device="cpu")


@pytest.fixture(scope="module")
def exports(trained, tmp_path_factory):
    """One export of each format: its folder and what was reported."""
    made = {}
    for to in FORMATS:
        request = ExportRequest(tmp_path_factory.mktemp("exports") / to, to, TEST, int8=to == "onnx")
        made[to] = (request.target, export(bertx.load(trained.run, device="cpu"), request))
    return made


@pytest.fixture(scope="module")
def with_lora(tmp_path_factory):
    """A run whose encoder learnt through updates alone."""
    made = config(model__lora={"rank": 4, "alpha": 16, "targets": ["query", "value", "intermediate"]})
    return train_once(tmp_path_factory.mktemp("lora"), made)


@pytest.fixture(scope="module")
def expected(trained) -> np.ndarray:
    """The logits of the run, one text at a time, as the modules compute them."""
    run = bertx.load(trained.run, device="cpu")
    with step_by_step():
        return np.array([run.predict([text])[0]["logits"] for text in TEXTS], np.float32)


tokenizer_of = cache(transformers.AutoTokenizer.from_pretrained)


def encoded(folder, texts) -> dict[str, np.ndarray]:
    """Makes the inputs of a model with the tokenizer of its folder."""
    return dict(tokenizer_of(folder)(texts, truncation=True, padding=True, return_tensors="np"))


def session(path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("to", FORMATS)
def test_every_format_computes_what_the_run_computes(exports, to):
    _, report = exports[to]
    assert report["format"] == to
    assert (report["rows"], report["label_agreement"]) == (296, 1.0)
    assert report["tokens_per_row"][0] < report["tokens_per_row"][1] <= 64
    assert report["largest_logit_difference"] <= {"hf": 0.0, "keras": 1e-2}.get(to, 1e-5)


def test_transformers_computes_the_same_to_the_bit(exports, expected):
    folder, _ = exports["hf"]
    model = transformers.BertForSequenceClassification.from_pretrained(folder, attn_implementation="sdpa")
    with torch.inference_mode():
        batches = [tokenizer_of(folder)(text, truncation=True, return_tensors="pt") for text in TEXTS]
        found = [model(**batch).logits[0] for batch in batches]
    assert np.array_equal(torch.stack(found).numpy(), expected)


def test_a_pipeline_of_transformers_gives_the_labels_of_the_run(exports, run):
    classify = transformers.pipeline("text-classification", str(exports["hf"][0]), device="cpu")
    labels = [found["label"] for found in classify(TEXTS, truncation=True)]
    assert labels == [found["label"] for found in run.predict(TEXTS)]
    assert set(labels) == {"negative", "positive"}


@pytest.mark.parametrize("rows", [1, 7, 32])
def test_onnx_runtime_computes_the_same_for_any_number_of_rows_and_tokens(exports, expected, rows):
    folder, _ = exports["onnx"]
    opened = session(folder / "model.onnx")
    for start in range(0, 96, rows):
        (found,) = opened.run(["logits"], encoded(folder, TEXTS[start : start + rows]))
        assert np.abs(found - expected[start : start + rows]).max() <= 1e-5


@pytest.mark.parametrize("rows", [1, 7])
def test_the_program_of_torch_computes_the_same(exports, expected, rows):
    folder, _ = exports["torch_export"]
    program = torch.export.load(folder / "model.pt2").module()
    batch = {name: torch.from_numpy(array) for name, array in encoded(folder, TEXTS[:rows]).items()}
    assert np.abs(program(**batch).detach().numpy() - expected[:rows]).max() <= 1e-5


@pytest.mark.oracle
def test_keras_hub_computes_the_same_of_raw_texts(tmp_path):
    import keras_hub

    trained = train_once(tmp_path / "trained", config(model__bert_model__hidden_act="gelu_new"))
    run = bertx.load(trained.run, device="cpu")
    expected = np.array([row["logits"] for row in run.predict(TEXTS)])
    report = export(run, ExportRequest(tmp_path / "exported", "keras", TEST))
    assert report["largest_logit_difference"] == 0.0
    classifier = keras_hub.models.BertTextClassifier.from_preset(str(tmp_path / "exported"))
    found = classifier.predict(TEXTS, verbose=0)
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert np.abs(found - expected).max() <= 1e-5


def test_eight_bits_are_written_and_their_price_is_told(exports, run):
    folder, report = exports["onnx"]
    small, price = folder / "model.int8.onnx", report["int8"]
    assert small.stat().st_size < (folder / "model.onnx").stat().st_size / 2
    assert price["accuracy_before"] == run.evaluate(TEST).all["accuracy"]
    opened = session(small)
    found = [opened.run(["logits"], encoded(folder, [text]))[0].argmax() for text in TEXTS]
    labels = [run.model.labels.index(json.loads(line)["label"]) for line in TEST.read_text().splitlines()]
    assert price["accuracy"] == pytest.approx(np.mean(np.array(found) == labels), abs=0.02)
    assert price["accuracy_change"] == price["accuracy"] - price["accuracy_before"]
    assert 1e-5 < price["largest_logit_difference"] < 1


@pytest.mark.parametrize("to", ["onnx", "torch_export"])
def test_no_path_of_this_machine_is_in_the_file(exports, to):
    written = b"".join(path.read_bytes() for path in exports[to][0].iterdir())
    assert not re.search(rb"site-packages|model\.py|bertx/", written)


@pytest.mark.parametrize("to", ["hf", "keras", "torch_export"])
def test_updates_are_merged(with_lora, tmp_path, to):
    run = bertx.load(with_lora.archive, device="cpu")
    assert len(list(lora_layers(run.model))) == 6
    report = export(run, ExportRequest(tmp_path / "exported", to, TEST))
    assert report["largest_logit_difference"] <= (1e-2 if to == "keras" else 1e-5)
    files = [path for path in (tmp_path / "exported").rglob("*") if path.is_file()]
    assert not any(b"lora" in path.read_bytes() for path in files)


@pytest.mark.parametrize("to", ["hf", "torch_export"])
def test_an_export_that_computes_something_else_leaves_nothing(run, tmp_path, monkeypatch, to):
    def writes_wrongly(classifier, folder):
        predict = write(classifier, folder)
        return lambda batch: predict(batch) + 0.02

    write = module.WRITERS[to]
    monkeypatch.setitem(module.WRITERS, to, writes_wrongly)
    request = ExportRequest(tmp_path / "exported", to, TEST)
    with pytest.raises(ExportError, match=r"largest difference of logits is 0\.02 \(accepted: "):
        export(run, request)
    assert list(tmp_path.iterdir()) == []
    assert export(run, replace(request, tolerance=0.1))["largest_logit_difference"] > 0.01


def test_a_mask_that_is_not_read_is_noticed(run, tmp_path, monkeypatch):
    def forgets_the_mask(classifier, folder):
        predict = write(classifier, folder)
        return lambda batch: predict(batch | {"attention_mask": torch.ones_like(batch["attention_mask"])})

    write = module.WRITERS["hf"]
    monkeypatch.setitem(module.WRITERS, "hf", forgets_the_mask)
    with pytest.raises(ExportError, match="does not compute what the run computes"):
        export(run, ExportRequest(tmp_path / "exported", "hf", TEST))


def test_the_labels_and_the_figures_are_in_the_readme(exports):
    folder, report = exports["onnx"]
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "| 0 | negative |\n| 1 | positive |" in text
    assert f"- largest logit difference: {report['largest_logit_difference']}\n- label agreement: 1.0" in text
    assert str(folder.parent) not in text


@pytest.mark.parametrize("to", ["onnx", "torch_export"])
def test_the_code_in_the_readme_runs(exports, run, monkeypatch, to):
    folder, _ = exports[to]
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    found = np.asarray(names["logits"].tolist())[0]
    assert found == pytest.approx(run.predict(["a gripping film"])[0]["logits"], abs=1e-5)


def test_a_package_that_is_missing_is_named_with_its_extra(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    message = r'^--to onnx: the package onnxscript cannot be .*pip install "bertx\[onnx\]"$'
    with pytest.raises(UsageError, match=message):
        export(run, ExportRequest(tmp_path / "exported", "onnx", TEST))
