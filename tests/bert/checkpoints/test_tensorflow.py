"""Google's checkpoints: what TensorFlow wrote is read, what is damaged or something else is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from bertx.bert.checkpoints.formats import read_config, read_tokenizer
from bertx.bert.checkpoints.tensorflow import find_index, read_tensorflow_tensors
from bertx.bert.checkpoints.tensorflow_bundle import Bundle
from bertx.bert.encoders import Encoders
from bertx.bert.heads import BertForPreTraining
from bertx.bert.model import BertModel
from bertx.errors import CheckpointError
from tests.bert.checkpoints.bundles import entry, field, header, table, write

NAME = "uncased_L-2_H-8_A-2"
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def index(golden) -> Path:
    return golden / NAME / "bert_model.ckpt.index"


def copied(golden: Path, folder: Path, name: str = NAME) -> Path:
    return Path(shutil.copytree(golden / NAME, folder / name))


def test_every_variable_is_read_as_tensorflow_wrote_it(golden, index):
    values = np.load(golden / NAME / "values.npz")
    bundle = Bundle(index)
    assert bundle.entries.keys() == set(values.files)
    for name in bundle.entries.keys() - {"global_step"}:
        assert np.array_equal(bundle.tensor(name).numpy(), values[name])


def test_a_model_has_all_its_tensors_and_no_more(golden):
    model = BertForPreTraining.from_pretrained(golden / NAME)
    assert model.load_report.summary() == "loaded 46/46 tensors"


def test_kernels_are_turned_and_other_matrices_are_not(golden, index):
    values = np.load(golden / NAME / "values.npz")
    tensors = read_tensorflow_tensors(index)
    wanted = torch.from_numpy(values["bert/encoder/layer_1/intermediate/dense/kernel"]).t()
    assert torch.equal(tensors["bert.encoder.layer.1.intermediate.dense.weight"], wanted)
    wanted = torch.from_numpy(values["cls/seq_relationship/output_weights"])
    assert torch.equal(tensors["cls.seq_relationship.weight"], wanted)


def test_the_names_are_those_of_transformers(golden, index):
    config = transformers.BertConfig.from_json_file(golden / NAME / "bert_config.json")
    names = transformers.BertForPreTraining(config).state_dict().keys()
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    buffers = {name for name in names if name.endswith("_ids")}
    assert read_tensorflow_tensors(index).keys() == names - tied - buffers


def test_a_config_may_name_such_a_folder_or_its_index(golden):
    encoders = Encoders([golden])
    one, other = encoders.model(NAME), encoders.model(f"{NAME}/bert_model.ckpt.index")
    assert torch.equal(one.embeddings.word.weight, other.embeddings.word.weight)
    assert one.config == other.config == read_config(golden / NAME)
    assert encoders.tokenizer(NAME).tokenize("The foxes") == ["the", "fox", "##es"]


@pytest.mark.parametrize(
    ("name", "is_lower_case"),
    [("uncased_L-12", True), ("cased_L-12", False), ("multi_cased_L-12", False), ("mine", True)],
)
def test_the_name_of_a_release_says_whether_case_is_kept(golden, tmp_path, name, is_lower_case):
    folder = copied(golden, tmp_path, name)
    assert (read_tokenizer(folder).tokenize("The") == ["the"]) == is_lower_case
    assert read_tokenizer(folder, do_lower_case=True).tokenize("The") == ["the"]


def test_heads_of_googles_fine_tuning_have_names_of_their_own(tmp_path):
    names = ("output_weights", "output_bias", "cls/squad/output_weights", "cls/squad/output_bias")
    write(tmp_path / "model.ckpt-9.index", dict.fromkeys(names, ARRAY))
    tensors = read_tensorflow_tensors(tmp_path / "model.ckpt-9.index")
    assert sorted(tensors) == ["classifier.bias", "classifier.weight", "qa_outputs.bias", "qa_outputs.weight"]


def test_what_the_optimizer_kept_is_left_alone(tmp_path):
    names = ("a/kernel/adam_m", "a/kernel/adam_v", "global_step", "beta1_power", "a/bias/Adam_1")
    write(tmp_path / "x.index", dict.fromkeys([*names, "a/bias"], ARRAY))
    assert list(read_tensorflow_tensors(tmp_path / "x.index")) == ["a.bias"]


@pytest.mark.parametrize(
    ("code", "dtype", "torch_dtype"), [(19, np.float16, torch.float16), (2, np.float64, torch.float64)]
)
def test_other_precisions_are_read(tmp_path, code, dtype, torch_dtype):
    array = ARRAY.astype(dtype)
    write(tmp_path / "x.index", {"global_step": array}, bias=entry(array, 0, dtype=code))
    (found,) = read_tensorflow_tensors(tmp_path / "x.index").values()
    assert (found.dtype, found.tolist()) == (torch_dtype, ARRAY.tolist())


def test_bfloat16_is_read(tmp_path):
    halves = torch.from_numpy(ARRAY).bfloat16()
    array = halves.view(torch.int16).numpy()
    write(tmp_path / "x.index", {"global_step": array}, bias=entry(array, 0, dtype=14))
    (found,) = read_tensorflow_tensors(tmp_path / "x.index").values()
    assert torch.equal(found, halves)


def test_of_several_checkpoints_the_latest_is_taken(tmp_path):
    for step in (1, 2):
        write(tmp_path / f"model.ckpt-{step}.index", {"bias": ARRAY})
    with pytest.raises(
        CheckpointError, match=r"several checkpoints \(model\.ckpt-1\.index, model\.ckpt-2\.index\)"
    ):
        find_index(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-2"\n')
    assert find_index(tmp_path) == tmp_path / "model.ckpt-2.index"
    assert find_index(tmp_path / "model.ckpt-1.index") == tmp_path / "model.ckpt-1.index"


def test_a_checkpoint_of_objects_is_refused(tmp_path):
    write(tmp_path / "x.index", {"a": ARRAY}, _CHECKPOINTABLE_OBJECT_GRAPH=field(1, 7))
    with pytest.raises(
        CheckpointError, match=r"x\.index: saved by objects, as in TensorFlow 2; expected variab"
    ):
        read_tensorflow_tensors(tmp_path / "x.index")


def test_an_incomplete_checkpoint_changes_nothing(golden, tmp_path):
    folder = copied(golden, tmp_path)
    write(folder / "bert_model.ckpt.index", {"bert/embeddings/LayerNorm/gamma": ARRAY})
    with pytest.raises(CheckpointError, match=r"bert_model\.ckpt\.index: 36 tensors are missing: "):
        BertModel.from_pretrained(folder)


def test_wrong_data_are_told_by_their_checksum(golden, tmp_path):
    data = copied(golden, tmp_path) / "bert_model.ckpt.data-00000-of-00001"
    octets = bytearray(data.read_bytes())
    octets[2000] ^= 1
    data.write_bytes(octets)
    with pytest.raises(
        CheckpointError, match=r"00001: the bytes of bert/enc\S+ are damaged \(wrong checksum\)"
    ):
        BertModel.from_pretrained(tmp_path / NAME)


@pytest.mark.parametrize("kept", [0, 2000, 6290])
def test_data_cut_short_are_an_error(golden, tmp_path, kept):
    data = copied(golden, tmp_path) / "bert_model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:kept])
    with pytest.raises(
        CheckpointError, match=r"data-00000-of-00001: cut short: \S+ ends beyond it; fetch it"
    ):
        BertForPreTraining.from_pretrained(tmp_path / NAME)


def test_missing_data_are_an_error(golden, tmp_path):
    (copied(golden, tmp_path) / "bert_model.ckpt.data-00000-of-00001").unlink()
    with pytest.raises(
        CheckpointError, match=r"00001: cannot be read \(No such file or directory\); fetch all"
    ):
        BertModel.from_pretrained(tmp_path / NAME)


def test_every_damaged_byte_of_an_index_is_noticed(index, tmp_path):
    original = index.read_bytes()
    path = tmp_path / "damaged.index"
    read_without_an_error = []
    for place in range(len(original)):
        path.write_bytes(original[:place] + bytes([original[place] ^ 0x55]) + original[place + 1 :])
        try:
            Bundle(path)
        except CheckpointError:
            continue
        read_without_an_error.append(place - len(original))
    # What is not used has no need of a check: a block of statistics, its place, and the footer's padding.
    assert read_without_an_error == [*range(-81, -68), *range(-48, -45), *range(-42, -8)]


@pytest.mark.parametrize("kept", [0, 8, 47, 100, 1000, 1851])
def test_an_index_cut_short_is_an_error(index, tmp_path, kept):
    (tmp_path / "short.index").write_bytes(index.read_bytes()[:kept])
    with pytest.raises(
        CheckpointError, match=r"short\.index: not a readable index of a TensorFlow checkpoint"
    ):
        Bundle(tmp_path / "short.index")


GOOD = entry(ARRAY, 0)
HUGE = field(1, 1) + field(2, field(2, field(1, 2**62))) + field(5, 2**62)
UNKNOWN_SIZE = field(1, 1) + field(2, field(2, field(1, 2**64 - 1)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table({b"a": GOOD}), "not a readable index of a TensorFlow checkpoint; fetch"),  # no header
        (table({b"": header(), b"a": GOOD}, compression=1), "its blocks are compressed, which"),
        (table({b"": header(), b"a": GOOD}, magic=1), "it is cut short, or something else"),
        (table({b"": header(endianness=1), b"a": GOOD}), "it was written on a big-endian machine"),
        (table({b"": header(num_shards=0), b"a": GOOD}), "it names 0 data files"),
        (table({b"": header(num_shards=10**9), b"a": GOOD}), "it names 1000000000 data files"),
        (table({b"": header(), b"a": UNKNOWN_SIZE}), "a tensor has an unknown size"),
        (table({b"": header(), b"a": GOOD[:-1]}), "a field is cut short"),
        (table({b"": header(), b"a": b"\xff" * 20}), "a number is too long"),
        (table({b"": header(), b"a": field(2, 3)}), "a field has the wrong type"),
        (table({b"": header(), b"\xff": GOOD}), "not a readable index"),
    ],
)
def test_a_wrong_index_is_an_error(tmp_path, content, message):
    (tmp_path / "wrong.index").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"wrong\\.index: .*{message}"):
        Bundle(tmp_path / "wrong.index")


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (HUGE, r"00001: cut short: a ends beyond it|has 4611686018427387904 bytes for shape"),
        (entry(ARRAY, 0, size=23), r"wrong\.index: a has 23 bytes for shape \[2, 3\]"),
        (GOOD + field(7, b""), "a is saved in slices; expected whole weights"),
    ],
)
def test_an_entry_that_cannot_be_is_an_error(tmp_path, described, message):
    write(tmp_path / "wrong.index", {"0": ARRAY}, a=described)
    with pytest.raises(CheckpointError, match=message):
        read_tensorflow_tensors(tmp_path / "wrong.index")
