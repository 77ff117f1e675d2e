"""Presets of KerasHub and `.keras` files: what KerasHub wrote is read, and what we write is the same."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import zipfile
from pathlib import Path

import h5py
import pytest
import torch

from bertx.bert.checkpoints.huggingface import load_weights
from bertx.bert.checkpoints.keras import (
    is_keras,
    read_keras_model,
    read_keras_tensors,
    read_keras_tokenizer,
    write_keras_archive,
    write_keras_preset,
)
from bertx.bert.checkpoints.keras_objects import KerasModel
from bertx.bert.config import BertConfig
from bertx.bert.heads import BertForMaskedLM
from bertx.bert.model import BertModel
from bertx.bert.task_heads import BertForSequenceClassification
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import CheckpointError

CLASSIFIERS = ["classifier", "sharded", "classifier.keras"]
CONFIG = BertConfig(
    vocab_size=12,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=12,
    hidden_act="gelu_new",
)


def copied(golden: Path, name: str, folder: Path) -> Path:
    return Path(shutil.copytree(golden / name, folder / name))


def edited(path: Path, **changes: object) -> None:
    item = json.loads(path.read_text())
    item["config"] |= changes
    path.write_text(json.dumps(item))


def layout(path: Path) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every variable of a file, in the file's order."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item.shape} if hasattr(item, "shape") else {}))
    return found


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_an_encoder_computes_what_kerashub_computes(golden, expected, batch, name):
    model = BertModel.from_pretrained(golden / name)
    output = model(**batch)
    real = batch["attention_mask"].bool()
    wanted = torch.tensor(expected["sequence_output"])
    torch.testing.assert_close(output.last_hidden_state[real], wanted[real], atol=1e-6, rtol=0)
    torch.testing.assert_close(output.pooled, torch.tensor(expected["pooled_output"]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_computes_what_kerashub_computes(golden, expected, batch, name):
    model = BertForSequenceClassification.from_pretrained(golden / name)
    wanted = torch.tensor(expected["probabilities"])
    torch.testing.assert_close(model(**batch).logits.softmax(-1), wanted, atol=1e-6, rtol=0)
    assert model.load_report.summary() == "loaded 41/41 tensors"


def test_a_masked_language_model_computes_what_kerashub_computes(golden, expected, batch):
    model = BertForMaskedLM.from_pretrained(golden / "masked_lm")
    logits = model(**batch).logits
    rows = torch.arange(3)[:, None]
    found = logits[rows, torch.tensor(expected["mask_positions"])]
    torch.testing.assert_close(found, torch.tensor(expected["masked_lm_logits"]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_settings_of_a_task_and_its_preprocessor_are_read(golden, name):
    model = read_keras_model(golden / name)
    assert (model.task, model.activation) == ("BertTextClassifier", "softmax")
    assert (model.sequence_length, model.truncate) == (12, "waterfall")
    assert (model.config.num_labels, model.config.classifier_dropout) == (3, 0.2)
    assert (model.config.hidden_act, model.config.max_position_embeddings) == ("gelu_new", 16)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_tokenizer_gives_the_ids_that_kerashub_gives(golden, expected, name):
    tokenizer = read_keras_tokenizer(golden / name)
    ids = tokenizer(expected["texts"], max_length=12, truncation=True, padding="max_length")["input_ids"]
    assert [list(row) for row in ids] == expected["token_ids"]


def test_case_may_be_kept_against_the_preset(golden):
    assert read_keras_tokenizer(golden / "classifier", do_lower_case=False).tokenize("The fox") == [
        "[UNK]",
        "fox",
    ]


@pytest.mark.parametrize("name", ["classifier", "masked_lm"])
def test_what_is_written_is_what_kerashub_writes(golden, tmp_path, name):
    source = golden / name
    model, (_, tensors) = read_keras_model(source), read_keras_tensors(source)
    write_keras_preset(tmp_path, model, tensors, read_keras_tokenizer(source))
    for file in ("config.json", "tokenizer.json", "task.json"):
        wanted = json.loads((source / file).read_text())
        if name == "masked_lm" and file == "task.json":
            continue  # its preprocessor also says how to mask; Keras fills that in
        assert json.loads((tmp_path / file).read_text()) == wanted
    vocabulary = "assets/tokenizer/vocabulary.txt"
    assert (tmp_path / vocabulary).read_bytes() == (source / vocabulary).read_bytes()
    for file in ("model.weights.h5", "task.weights.h5"):
        assert layout(tmp_path / file) == layout(source / file)


def test_an_archive_is_written_as_keras_writes_it(golden, tmp_path):
    source = golden / "classifier.keras"
    model, (_, tensors) = read_keras_model(source), read_keras_tensors(source)
    write_keras_archive(tmp_path / "own.keras", model, tensors, read_keras_tokenizer(source))
    with zipfile.ZipFile(source) as theirs, zipfile.ZipFile(tmp_path / "own.keras") as ours:
        assert sorted(ours.namelist()) == sorted(theirs.namelist())
        ours.extract("model.weights.h5", tmp_path / "ours")
        theirs.extract("model.weights.h5", tmp_path / "theirs")
    assert layout(tmp_path / "ours" / "model.weights.h5") == layout(tmp_path / "theirs" / "model.weights.h5")


@pytest.mark.parametrize("max_shard_bytes", [10**9, 2000, 520])
def test_what_is_written_is_read_bit_for_bit(golden, tmp_path, max_shard_bytes):
    model, (_, tensors) = read_keras_model(golden / "classifier"), read_keras_tensors(golden / "classifier")
    write_keras_preset(tmp_path, model, tensors, max_shard_bytes=max_shard_bytes)
    assert (tmp_path / "model.weights.h5").exists() == (max_shard_bytes == 10**9)
    again = read_keras_tensors(tmp_path)[1]
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_an_index_of_shards_is_that_of_kerashub(golden, tmp_path):
    model, (_, tensors) = read_keras_model(golden / "sharded"), read_keras_tensors(golden / "sharded")
    write_keras_preset(tmp_path, model, tensors, max_shard_bytes=2147)
    ours, theirs = (
        json.loads((path / "model.weights.json").read_text()) for path in (tmp_path, golden / "sharded")
    )
    assert ours["metadata"] == theirs["metadata"]
    assert ours["weight_map"].keys() == theirs["weight_map"].keys()


def test_a_variable_that_no_shard_can_hold_is_an_error(golden, tmp_path):
    model, (_, tensors) = read_keras_model(golden / "classifier"), read_keras_tensors(golden / "classifier")
    with pytest.raises(CheckpointError, match=r"/vars/0 has \d+ bytes; a shard may have 300: allow more"):
        write_keras_preset(tmp_path, model, tensors, max_shard_bytes=300)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_kept(golden, tmp_path, dtype):
    model, (_, tensors) = read_keras_model(golden / "classifier"), read_keras_tensors(golden / "classifier")
    halved = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    write_keras_preset(tmp_path, model, halved)
    again = read_keras_tensors(tmp_path)[1]
    assert all(again[name].dtype == dtype and torch.equal(again[name], halved[name]) for name in halved)


def test_a_preset_may_be_without_tokenizer_and_task(tmp_path):
    write_keras_preset(tmp_path, KerasModel(CONFIG), {})
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["config.json", "metadata.json", "model.weights.h5"]
    assert read_keras_tokenizer(tmp_path) is None


def test_files_of_keras_2_are_read(golden, tmp_path):
    preset = copied(golden, "classifier", tmp_path)
    with h5py.File(preset / "model.weights.h5", "r+") as file:
        file.move("layers", "_layer_checkpoint_dependencies")
    assert read_keras_tensors(preset)[1].keys() == read_keras_tensors(golden / "classifier")[1].keys()


def test_folders_of_other_formats_are_none_of_keras(golden, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "plain.txt").write_text("")
    assert [is_keras(path) for path in (tmp_path, tmp_path / "plain.txt", tmp_path / "none")] == [False] * 3
    assert is_keras(golden / "sharded") and is_keras(golden / "classifier.keras")


def test_exact_gelu_is_written_with_a_warning(golden, tmp_path, caplog):
    config = BertConfig(vocab_size=12, hidden_size=8, num_attention_heads=2, num_hidden_layers=1)
    with caplog.at_level(logging.WARNING, "bertx"):
        write_keras_preset(tmp_path, KerasModel(config), {})
    assert caplog.messages == [
        "this model computes gelu, KerasHub the tanh approximation of gelu: logits will differ slightly"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "relu"}, "hidden_act is 'relu'; KerasHub's BERT computes gelu only"),
        ({"layer_norm_eps": 1e-6}, "layer_norm_eps is 1e-06; KerasHub's BERT computes with 1e-12 only"),
        ({"is_decoder": True}, "is_decoder is True; KerasHub's BERT has no such thing"),
        ({"pruned_heads": {"0": [1]}}, r"pruned_heads is \{0: \[1\]\}; KerasHub's BERT has no such thing"),
    ],
)
def test_an_encoder_that_kerashub_has_not_is_refused_and_nothing_written(tmp_path, changes, message):
    with pytest.raises(CheckpointError, match=message):
        write_keras_preset(tmp_path / "new", KerasModel(CONFIG.updated(changes)), {})
    assert not (tmp_path / "new").exists()


def test_other_special_tokens_are_refused(tmp_path):
    pieces = ["<pad>", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = BertTokenizer({piece: id_ for id_, piece in enumerate(pieces)}, pad_token="<pad>")
    with pytest.raises(CheckpointError, match=r"are \[CLS\], \[SEP\], <pad>, \[MASK\]; KerasHub's BERT has"):
        write_keras_preset(tmp_path, KerasModel(CONFIG), {}, tokenizer)


def test_without_h5py_the_error_says_what_to_install(golden, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(CheckpointError, match=r'need h5py; pip install "bertx\[keras\]"'):
        read_keras_tensors(golden / "classifier")


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"num_layers": None}, "num_hidden_layers is null; expected a whole number"),
        ("config.json", {"num_heads": 3}, "3 attention heads cannot share equally"),
        ("task.json", {"num_classes": "many"}, "config.num_classes is 'many'; expected a whole number"),
        (
            "preprocessor.json",
            {"truncate": "middle"},
            "config.truncate is 'middle'; expected 'round_robin' or",
        ),
    ],
)
def test_a_wrong_setting_is_an_error(golden, tmp_path, file, changes, message):
    preset = copied(golden, "classifier", tmp_path)
    edited(preset / file, **changes)
    with pytest.raises(CheckpointError, match=message):
        read_keras_model(preset)


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "[" * 100_000, '{"class_name": "BertTextClassifier", "config": 3}']
)
def test_wrong_json_is_an_error(golden, tmp_path, content):
    preset = copied(golden, "classifier", tmp_path)
    (preset / "task.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"classifier"):
        read_keras_model(preset)


def test_a_preset_of_another_architecture_is_refused(golden, tmp_path):
    preset = copied(golden, "classifier", tmp_path)
    text = (preset / "config.json").read_text().replace("BertBackbone", "GemmaBackbone")
    (preset / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"classifier: a GemmaBackbone; expected a BertBackbone"):
        read_keras_model(preset)


def test_another_number_of_heads_than_the_weights_have_is_an_error(golden, tmp_path):
    preset = copied(golden, "classifier", tmp_path)
    edited(preset / "config.json", num_heads=4)
    with pytest.raises(
        CheckpointError, match=r"is \(2, 4\), which is no kernel.*with 4 attention heads|is \(8, 2, 4\)"
    ):
        read_keras_tensors(preset)


def test_a_missing_variable_is_an_error_and_nothing_is_loaded(golden, tmp_path):
    preset = copied(golden, "classifier", tmp_path)
    with h5py.File(preset / "model.weights.h5", "r+") as file:
        del file["layers/embedding/vars/0"]
    model = BertModel(read_keras_model(preset).config)
    before = model.embeddings.word.weight.clone()
    with pytest.raises(
        CheckpointError, match=r"1 tensor is missing: embeddings\.token_type_embeddings\.weight"
    ):
        load_weights(model, preset)
    assert torch.equal(model.embeddings.word.weight, before)


def test_quantized_weights_are_refused(golden, tmp_path):
    preset = copied(golden, "classifier", tmp_path)
    with h5py.File(preset / "model.weights.h5", "r+") as file:
        variables = file["layers/dense/vars"]
        kernel = variables["0"][()].astype("int8")
        del variables["0"]
        variables["0"] = kernel
    with pytest.raises(
        CheckpointError, match=r"pooler\.dense\.weight holds torch\.int8; expected floating-point"
    ):
        BertModel.from_pretrained(preset)


def test_a_compressed_archive_is_refused(golden, tmp_path):
    bomb = zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(golden / "classifier.keras") as theirs, bomb:
        for name in theirs.namelist():
            bomb.writestr(name, theirs.read(name))
    with pytest.raises(CheckpointError, match=r"bomb\.keras: metadata\.json is compressed in it"):
        read_keras_model(tmp_path / "bomb.keras")


@pytest.mark.parametrize("kept", [0, 10, 1000, 60_000, 118_000])
def test_an_archive_cut_short_is_an_error(golden, tmp_path, kept):
    path = tmp_path / "short.keras"
    path.write_bytes((golden / "classifier.keras").read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"short\.keras: not a readable \.keras file"):
        read_keras_tensors(path)


def test_a_damaged_archive_never_ends_in_another_error(golden, tmp_path):
    original = (golden / "classifier.keras").read_bytes()
    path, generator, refused = tmp_path / "damaged.keras", torch.Generator().manual_seed(0), 0
    for place in torch.randint(0, len(original), (150,), generator=generator).tolist():
        path.write_bytes(original[:place] + bytes([original[place] ^ 0xFF]) + original[place + 1 :])
        try:
            read_keras_tensors(path)
            read_keras_tokenizer(path)
        except CheckpointError:
            refused += 1
    assert refused > 0


def test_no_vector_is_kept_from_learning(golden):
    """KerasHub's tokenizer may give [PAD] any id, and its vector learns like the others."""
    model = BertModel(read_keras_model(golden / "classifier").config)
    model(torch.tensor([[0, 1, 2]])).last_hidden_state[0, :, 0].sum().backward()
    assert model.embeddings.word.weight.grad[:3].abs().sum(dim=1).min() > 0
