"""Hugging Face directories: the weights are those of `transformers`, in both directions."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bertx.bert.checkpoints.huggingface import LoadReport, load_weights, save_weights, write_directory
from bertx.bert.config import BertConfig
from bertx.bert.heads import BertForMaskedLM
from bertx.bert.model import BertModel
from bertx.errors import CheckpointError, DataError
from tests.bert.reference import SIZES, ours_from, random_batch, randomized, reference_config, reference_model

CONFIG = BertConfig(**SIZES)
NUM_TENSORS = 5 + 2 * 16 + 2  # embeddings, two layers, pooler


def saved_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Writes the reference encoder to a folder and gives its tensors by name."""
    reference_model().save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def replaced(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file(tensors, folder / "model.safetensors")
    return folder / "model.safetensors"


def as_pickle(folder: Path, tensors: object) -> Path:
    """Puts PyTorch's format in place of the safetensors of a folder."""
    (folder / "model.safetensors").unlink(missing_ok=True)
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def assert_is_reference(model: BertModel) -> None:
    inputs = random_batch()
    wanted = reference_model()(**inputs)
    torch.testing.assert_close(model(**inputs).pooled, wanted.pooler_output, atol=1e-5, rtol=1e-5)


def test_weights_of_transformers_are_read(tmp_path):
    reference_model().save_pretrained(tmp_path)
    assert_is_reference(ours_from(tmp_path))


def test_transformers_reads_our_directory_with_difference_zero(tmp_path):
    reference = reference_model()
    reference.save_pretrained(tmp_path / "theirs")
    write_directory(ours_from(tmp_path / "theirs"), tmp_path / "ours")
    again = transformers.BertModel.from_pretrained(tmp_path / "ours", attn_implementation="eager")
    difference = again(**random_batch()).last_hidden_state - reference(**random_batch()).last_hidden_state
    assert difference.abs().max().item() == 0.0


def test_transformers_finds_the_class_of_our_directory_by_itself(tmp_path):
    write_directory(BertModel(CONFIG), tmp_path)
    assert type(transformers.AutoModel.from_pretrained(tmp_path)) is transformers.BertModel


def test_the_masked_language_model_goes_both_ways_with_difference_zero(tmp_path):
    reference = randomized(transformers.BertForMaskedLM(reference_config()))
    reference.save_pretrained(tmp_path / "theirs")
    ours = BertForMaskedLM(CONFIG).eval()
    assert load_weights(ours, tmp_path / "theirs").summary() == "loaded 42/42 tensors"
    wanted = reference(**random_batch()).logits
    real = random_batch()["attention_mask"]
    torch.testing.assert_close(ours(**random_batch()).logits[real], wanted[real], atol=1e-5, rtol=1e-5)
    write_directory(ours, tmp_path / "ours")
    again = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "ours", attn_implementation="eager")
    assert torch.equal(again(**random_batch()).logits, wanted)


def test_what_we_write_we_read(tmp_path):
    model = BertModel(CONFIG)
    save_weights(model, tmp_path)
    again = BertModel(CONFIG)
    assert load_weights(again, tmp_path).summary() == f"loaded {NUM_TENSORS}/{NUM_TENSORS} tensors"
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("shard_size", ["10KB", "2KB"])
def test_shards_are_read(tmp_path, shard_size):
    reference_model().save_pretrained(tmp_path, max_shard_size=shard_size)
    assert not (tmp_path / "model.safetensors").exists()
    assert_is_reference(ours_from(tmp_path))


def test_shards_in_the_format_of_pytorch_are_read(tmp_path):
    tensors = saved_tensors(tmp_path)
    half = dict(list(tensors.items())[:20])
    rest = dict(list(tensors.items())[20:])
    (tmp_path / "model.safetensors").unlink()
    torch.save(half, tmp_path / "pytorch_model-00001-of-00002.bin")
    torch.save(rest, tmp_path / "pytorch_model-00002-of-00002.bin")
    weight_map = dict.fromkeys(half, "pytorch_model-00001-of-00002.bin")
    weight_map |= dict.fromkeys(rest, "pytorch_model-00002-of-00002.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert_is_reference(ours_from(tmp_path))


def old_name(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


@pytest.mark.parametrize("prefix", ["", "bert.", "module.", "module.bert."])
def test_old_files_of_pytorch_are_read(tmp_path, prefix):
    tensors = {prefix + old_name(name): tensor for name, tensor in saved_tensors(tmp_path).items()}
    tensors[f"{prefix}embeddings.position_ids"] = torch.arange(16)[None]
    as_pickle(tmp_path, tensors)
    model = BertModel(CONFIG).eval()
    assert load_weights(model, tmp_path) == LoadReport(tuple(sorted(saved_tensors(tmp_path))), (), ())
    assert_is_reference(model)


def test_files_in_the_old_zipless_format_are_read(tmp_path):
    tensors = saved_tensors(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(tensors, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert_is_reference(ours_from(tmp_path))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_read_into_float32(tmp_path, dtype):
    replaced(tmp_path, {name: tensor.to(dtype) for name, tensor in saved_tensors(tmp_path).items()})
    model = ours_from(tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    inputs = random_batch()
    torch.testing.assert_close(
        model(**inputs).pooled, reference_model()(**inputs).pooler_output, atol=0.1, rtol=0.1
    )


def test_the_precision_in_config_json_is_that_of_the_written_weights(tmp_path):
    config = BertConfig.from_dict(SIZES | {"torch_dtype": "float16", "architectures": ["BertForMaskedLM"]})
    write_directory(BertModel(config), tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert (written["torch_dtype"], written["architectures"]) == ("float32", ["BertModel"])


def test_heads_that_are_not_wanted_are_reported(tmp_path):
    randomized(transformers.BertForMaskedLM(reference_config())).save_pretrained(tmp_path)
    assert load_weights(BertModel(CONFIG, add_pooling_layer=False), tmp_path).summary() == (
        "loaded 37/37 tensors; not used: cls.predictions.bias, cls.predictions.transform.LayerNorm.bias, "
        "cls.predictions.transform.LayerNorm.weight and 2 more"
    )


def test_a_missing_pooler_is_new(tmp_path):
    save_weights(BertModel(CONFIG, add_pooling_layer=False), tmp_path)
    report = load_weights(BertModel(CONFIG), tmp_path)
    assert report.new == ("pooler.dense.bias", "pooler.dense.weight")
    assert report.summary() == "loaded 37/39 tensors; new: pooler.dense.bias, pooler.dense.weight"


def test_a_missing_masked_language_model_head_is_new(tmp_path):
    save_weights(BertModel(CONFIG), tmp_path)
    report = load_weights(BertForMaskedLM(CONFIG), tmp_path)
    assert (len(report.loaded), len(report.new), report.unexpected[0]) == (37, 5, "pooler.dense.bias")


def test_a_caller_says_what_may_be_new(tmp_path):
    save_weights(BertModel(CONFIG, add_pooling_layer=False), tmp_path)
    with pytest.raises(
        CheckpointError, match=r"2 tensors are missing: pooler\.dense\.bias, pooler\.dense\.weight;"
    ):
        load_weights(BertModel(CONFIG), tmp_path, may_be_new=())


def test_a_missing_tensor_is_an_error_and_nothing_is_loaded(tmp_path):
    tensors = saved_tensors(tmp_path)
    del tensors["encoder.layer.1.output.dense.bias"]
    path = replaced(tmp_path, tensors)
    model = BertModel(CONFIG)
    before = model.embeddings.word.weight.clone()
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, tmp_path)
    assert str(caught.value) == (
        f"{path}: 1 tensor is missing: encoder.layer.1.output.dense.bias; "
        "expected the 39 tensors of a BERT encoder as config.json describes it"
    )
    assert torch.equal(model.embeddings.word.weight, before)


def test_a_tensor_of_the_wrong_shape_is_an_error(tmp_path):
    tensors = saved_tensors(tmp_path)
    tensors["embeddings.word_embeddings.weight"] = torch.zeros(51, 24)
    path = replaced(tmp_path, tensors)
    with pytest.raises(CheckpointError) as caught:
        load_weights(BertModel(CONFIG), tmp_path)
    assert str(caught.value) == (
        f"{path}: 1 tensor is of the wrong shape, "
        "e.g. embeddings.word_embeddings.weight is (51, 24), expected (50, 24)"
    )


def test_whole_numbers_are_no_weights(tmp_path):
    tensors = saved_tensors(tmp_path)
    tensors["pooler.dense.bias"] = torch.zeros(24, dtype=torch.int8)
    replaced(tmp_path, tensors)
    message = r"pooler\.dense\.bias holds torch\.int8; expected floating-point numbers"
    with pytest.raises(CheckpointError, match=message):
        load_weights(BertModel(CONFIG), tmp_path)


def test_one_tensor_under_two_names_with_two_values_is_an_error(tmp_path):
    tensors = saved_tensors(tmp_path)
    replaced(tmp_path, tensors | {"bert.pooler.dense.bias": torch.ones(24)})
    with pytest.raises(CheckpointError, match=r"pooler\.dense\.bias is there twice"):
        load_weights(BertModel(CONFIG), tmp_path)


def test_an_output_layer_of_its_own_is_refused_where_the_config_says_otherwise(tmp_path):
    reference = randomized(transformers.BertForMaskedLM(reference_config()))
    tensors = {name: tensor.clone() for name, tensor in reference.state_dict().items()}
    tensors["cls.predictions.decoder.weight"] += 1
    replaced(tmp_path, tensors)
    with pytest.raises(
        CheckpointError, match=r"decoder\.weight is not the word embedding; set tie_word_embeddings to false"
    ):
        load_weights(BertForMaskedLM(CONFIG), tmp_path)


def test_the_bias_of_the_output_layer_may_have_either_name(tmp_path):
    model = BertForMaskedLM(CONFIG)
    torch.nn.init.ones_(model.head.decoder.bias)
    save_weights(model, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["cls.predictions.decoder.bias"] = tensors.pop("cls.predictions.bias")
    replaced(tmp_path, tensors)
    again = BertForMaskedLM(CONFIG)
    load_weights(again, tmp_path)
    assert again.head.decoder.bias.tolist() == [1.0] * 50


def test_a_transposed_parameter_is_written_as_it_reads(tmp_path):
    model, again = BertModel(CONFIG), BertModel(CONFIG)
    model.pooler.dense.weight.data = model.pooler.dense.weight.data.t()
    save_weights(model, tmp_path)
    load_weights(again, tmp_path)
    assert torch.equal(again.pooler.dense.weight, model.pooler.dense.weight)


def test_writing_leaves_nothing_else_behind(tmp_path):
    write_directory(BertModel(CONFIG), tmp_path / "new" / "folder")
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == ["config.json", "model.safetensors"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    save_weights(BertModel(CONFIG), tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()

    def full_disk(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("bertx.bert.checkpoints.huggingface.save_file", full_disk)
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be written \(no space left\)"):
        save_weights(BertModel(CONFIG), tmp_path)
    assert ((tmp_path / "model.safetensors").read_bytes(), len(os.listdir(tmp_path))) == (before, 1)


def test_written_files_are_readable_as_any_other_new_file(tmp_path):
    write_directory(BertModel(CONFIG), tmp_path)
    (tmp_path / "plain").write_text("")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {stat.S_IMODE((tmp_path / "plain").stat().st_mode)}
