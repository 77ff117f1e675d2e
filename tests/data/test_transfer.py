import threading

import numpy as np
import pytest
import torch

from bertx.data.batch import Batch
from bertx.data.transfer import on_device

GPU = torch.device("cuda")


def make_batch(*lengths: int) -> Batch:
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    text = {"input_ids": mask * 7, "attention_mask": mask, "token_type_ids": mask * 0}
    return Batch({"tokens": {"bert": text}, "label": torch.zeros(len(lengths))}, np.arange(len(lengths)))


def kinds(batch: Batch) -> list[str]:
    return list(batch.inputs["tokens"]["bert"])


@pytest.fixture
def copies(monkeypatch):
    """A GPU that nobody has, and a note of what is pinned and copied to it, by whom."""
    noted: list[tuple[str, list[str], str]] = []

    def note(what):
        def noting(batch, *_):
            noted.append((what, kinds(batch), threading.current_thread().name))
            return batch

        return noting

    monkeypatch.setattr("bertx.data.batch.saves_padding", lambda device: device == GPU)
    monkeypatch.setattr(Batch, "pinned", note("pinned"))
    monkeypatch.setattr(Batch, "to", note("copied"))
    return noted


def test_batches_for_the_cpu_stay_as_they_are_and_are_made_when_asked_for(copies):
    batches = [make_batch(4, 1), make_batch(2)]
    coming = iter(batches)
    assert next(on_device(coming, torch.device("cpu"))) is batches[0]
    assert next(coming) is batches[1]
    assert copies == []


def test_batches_for_a_gpu_are_packed_then_pinned_then_copied_by_a_thread(copies):
    list(on_device(iter([make_batch(4, 1)]), GPU))
    everything = ["input_ids", "attention_mask", "token_type_ids", "packed_tokens", "packed_offsets"]
    assert [(what, found) for what, found, _ in copies] == [("pinned", everything), ("copied", everything)]
    assert {name.startswith("bertx-data") for _, _, name in copies} == {True}


def test_no_more_than_one_batch_is_copied_ahead(copies):
    batches = on_device(iter([make_batch(length) for length in (1, 2, 3, 4)]), GPU)
    assert [next(batches).size, next(batches).size] == [1, 1]
    batches.close()
    assert [what for what, _, _ in copies].count("copied") in (2, 3)


def test_batches_come_in_their_order(copies):
    found = [batch.size for batch in on_device(iter([make_batch(*[1] * size) for size in (3, 1, 2)]), GPU)]
    assert found == [3, 1, 2]


def test_other_devices_get_copies_one_by_one():
    (batch,) = on_device(iter([make_batch(4, 1)]), torch.device("meta"))
    assert batch.inputs["label"].device.type == "meta"
    assert kinds(batch) == ["input_ids", "attention_mask", "token_type_ids"]


def test_a_batch_is_packed_once(copies):
    packed = make_batch(4, 1).packed_for(GPU)
    text = packed.inputs["tokens"]["bert"]
    assert text["packed_tokens"].tolist() == [0, 1, 2, 3, 4]
    assert packed.packed_for(GPU).inputs["tokens"]["bert"] is text


def test_a_part_of_a_packed_batch_is_padded(copies):
    part = make_batch(4, 1, 3).packed_for(GPU).part(slice(1, 3))
    assert kinds(part) == ["input_ids", "attention_mask", "token_type_ids"]
    assert part.inputs["tokens"]["bert"]["attention_mask"].sum(dim=1).tolist() == [1, 3]


@pytest.mark.gpu
def test_a_gpu_fetches_batches_without_being_waited_for():
    torch.cuda._sleep(10**9)
    (batch,) = on_device(iter([make_batch(4, 1)]), GPU)
    is_busy = not torch.cuda.current_stream().query()
    assert is_busy
    assert batch.inputs["tokens"]["bert"]["packed_tokens"].tolist() == [0, 1, 2, 3, 4]
