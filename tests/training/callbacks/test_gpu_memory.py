import pytest
import torch

from bertx.training.callbacks.gpu_memory import GpuMemory
from bertx.training.callbacks.trainer_callback import TrainingContext
from tests.training.callbacks.following import context
from tests.training.tiny import make_model, make_split, make_trainer, records


class TwoProcesses:
    """A world whose second process needs half as much memory, and has a GPU."""

    is_main = True

    def gather(self, mine):
        return [mine, {"worker": mine["worker"] // 2, "gpu": 70}]


def test_the_memory_of_the_process_is_among_the_metrics_of_an_epoch(tmp_path):
    split = make_split(tmp_path, records(10))
    trainer = make_trainer(make_model(), split, {"callbacks": ["gpu_memory"]}, folder=tmp_path)
    metrics = trainer.train()
    assert 100 < metrics["peak_worker_0_memory_MB"] < 100_000
    assert (
        f'"peak_worker_0_memory_MB": {metrics["peak_worker_0_memory_MB"]}'
        in (tmp_path / "metrics_epoch_0.json").read_text()
    )


def test_every_process_is_named():
    where = TrainingContext(make_model(), None, 1, world=TwoProcesses())
    found = GpuMemory().metrics(where)
    assert found.keys() == {
        "peak_worker_0_memory_MB",
        "peak_worker_1_memory_MB",
        "training_gpu_1_memory_MB",
        "peak_gpu_1_memory_MB",
    }
    assert found["peak_worker_1_memory_MB"] == found["peak_worker_0_memory_MB"] // 2


def test_a_resumed_training_remembers_the_peaks():
    resumed, where = GpuMemory(), context(None)
    resumed.load_state_dict({"worker_0_memory_MB": 10**6, "gpu_0_memory_MB": 7})
    found = resumed.metrics(where)
    assert (found["peak_worker_0_memory_MB"], found["peak_gpu_0_memory_MB"]) == (10**6, 7)
    assert resumed.state_dict() == {"worker_0_memory_MB": 10**6, "gpu_0_memory_MB": 7}


@pytest.mark.gpu
def test_the_memory_of_a_gpu_is_that_of_its_epoch():
    where = TrainingContext(make_model().cuda(), None, 1)
    callback = GpuMemory()
    callback.on_start(where)
    torch.ones(64, 2**20, device="cuda").sum()  # 256 MB
    first, second = callback.metrics(where), callback.metrics(where)
    assert first["training_gpu_0_memory_MB"] in range(256, 300)
    assert second["training_gpu_0_memory_MB"] < 50
    assert second["peak_gpu_0_memory_MB"] == first["training_gpu_0_memory_MB"]
