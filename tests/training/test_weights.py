import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bertx.errors import CheckpointError
from bertx.models.masked_language_model import MaskedLanguageModel
from bertx.training.weights import load_weights, map_weights, save_weights, tensors_of
from tests.training.tiny import make_config


class Network(nn.Module):
    """Two layers, a shared weight and a buffer."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.low = nn.Linear(2, width)
        self.high = nn.Linear(2, width)
        self.high.weight = self.low.weight
        self.register_buffer("scale", torch.rand(1))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "best" / "model.safetensors"


@pytest.fixture
def saved(path):
    save_weights(Network(), path)
    return path


@pytest.mark.parametrize("read", [load_weights, map_weights])
def test_what_was_saved_is_loaded_bit_by_bit(path, read):
    first, second = Network(), Network()
    save_weights(first, path)
    read(second, path)
    for name, tensor in tensors_of(first).items():
        assert torch.equal(tensor, tensors_of(second)[name])
    assert second.high.weight is second.low.weight


def test_a_shared_weight_is_written_once(saved):
    assert sorted(load_file(saved)) == ["high.bias", "low.bias", "low.weight", "scale"]


def test_tied_embeddings_survive(path):
    first, second = MaskedLanguageModel(make_config()), MaskedLanguageModel(make_config())
    save_weights(first, path)
    load_weights(second, path)
    decoder, word = second.masked_lm.head.decoder.weight, second.masked_lm.bert.embeddings.word.weight
    assert decoder is word
    assert torch.equal(word, first.masked_lm.bert.embeddings.word.weight)


def test_what_is_written_to_mapped_weights_stays_out_of_the_file(saved):
    before = saved.read_bytes()
    model = Network()
    map_weights(model, saved)
    with torch.no_grad():
        for tensor in tensors_of(model).values():
            tensor.fill_(7.0)
    assert saved.read_bytes() == before
    assert model.high.weight.tolist() == [[7.0, 7.0]] * 3


def test_mapped_weights_outlive_their_file(saved):
    expected, model = load_file(saved)["low.weight"].clone(), Network()
    map_weights(model, saved)
    save_weights(Network(5), saved)
    saved.unlink()
    assert torch.equal(model.low.weight, expected)


def test_mapped_weights_take_the_type_of_the_model(saved):
    model = Network().double()
    map_weights(model, saved)
    assert {tensor.dtype for tensor in tensors_of(model).values()} == {torch.float64}


def test_saving_replaces_the_file_and_leaves_no_other(saved):
    save_weights(Network(5), saved)
    load_weights(Network(5), saved)
    assert list(saved.parent.iterdir()) == [saved]


def refused(path: Path, message: str) -> None:
    """Loading fails with exactly this message, and changes nothing."""
    model = Network()
    before = {name: tensor.clone() for name, tensor in tensors_of(model).items()}
    for read in (load_weights, map_weights):
        with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
            read(model, path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors_of(model).items())


def test_no_file(path):
    refused(path, f"{path}: no such file; it should hold the model's weights")


def test_missing_tensors(saved):
    tensors = load_file(saved)
    save_file({"low.weight": tensors["low.weight"], "low.bias": tensors["low.bias"]}, saved)
    refused(
        saved,
        f"{saved}: 2 tensors are missing, e.g. high.bias; expected the 4 tensors of the model; "
        "the weights belong to another config",
    )


def test_tensors_of_a_larger_model(saved):
    save_file({**load_file(saved), "top.bias": torch.zeros(1)}, saved)
    refused(
        saved,
        f"{saved}: 1 tensor is not the model's, e.g. top.bias; expected the 4 tensors of the model; "
        "the weights belong to another config",
    )


def test_misshapen_tensors(path):
    save_weights(Network(7), path)
    refused(
        path,
        f"{path}: 3 tensors are of the wrong shape, e.g. low.weight is (7, 2), expected (3, 2); "
        "the weights belong to another config",
    )


def test_a_file_cut_short(saved):
    saved.write_bytes(saved.read_bytes()[:-10])
    refused(
        saved,
        f"{saved}: not a readable safetensors file (Error while deserializing header: incomplete metadata, "
        "file not fully covered); it may be cut short",
    )


@pytest.mark.parametrize("content", [b"", b"\x00" * 4, b"no weights at all, only a text"])
def test_a_file_that_holds_something_else(saved, content):
    saved.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r": not a readable safetensors file \(.+\); it may be cut short$"
    ):
        load_weights(Network(), saved)
