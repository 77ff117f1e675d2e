"""Several processes train and validate as one does: same instances, same numbers, same stops."""

import json
from collections import Counter

import pytest

from bertx.training.checkpoints.folder import read_checkpoint
from tests.processes import run_together

TRAIN = "tests.training.processes.in_training:train"
GIVEN = {"rows": 21, "dev_rows": 13, "batch_size": 4, "stop": 0, "recover": False}


def together(folder, size, **given):
    (folder / "run").mkdir(parents=True, exist_ok=True)
    (folder / "given.json").write_text(json.dumps({**GIVEN, **given}))
    return run_together(TRAIN, size, folder)


def flat(results):
    return [number for numbers in results[0]["weights"] for number in numbers]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return together(tmp_path_factory.mktemp("alone"), 1)


def test_every_instance_is_seen_once_an_epoch_whatever_the_number_of_processes(tmp_path):
    found = {}
    for size in (1, 2, 3):
        results = together(tmp_path / str(size), size, rows=1001, dev_rows=101, batch_size=32)
        seen = Counter(tuple(pair) for result in results for pair in result["seen"])
        assert seen == Counter({(epoch, row): 1 for epoch in (0, 1) for row in range(1001)})
        assert all(result["metrics"] == results[0]["metrics"] for result in results)
        assert [result["unpickled"] for result in results] == [[]] * size
        found[size] = results[0]["metrics"]
    for size in (2, 3):
        assert found[size] == pytest.approx(found[1], rel=0, abs=1e-12)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_stop_of_one_stops_all_at_one_step_and_others_go_on(tmp_path, alone, strategy):
    stopped = together(tmp_path, 2, stop=3, strategy=strategy)
    assert [result["stopped_at"] for result in stopped] == [3, 3]
    went_on = together(tmp_path, 3, recover=True, strategy=strategy)
    assert [result["recovered"] for result in went_on] == [True] * 3
    expected = {name: value for name, value in alone[0]["metrics"].items()}
    assert went_on[0]["metrics"] == pytest.approx(expected, rel=0, abs=1e-9)


def test_several_processes_end_with_the_weights_of_one(tmp_path, alone):
    results = together(tmp_path, 3)
    assert [flat([result]) for result in results[1:]] == [flat(results)] * 2
    assert flat(results) == pytest.approx(flat(alone), rel=0, abs=1e-9)


def test_one_process_goes_on_with_what_two_began(tmp_path, alone):
    together(tmp_path, 2, stop=4, strategy="fsdp")
    checkpoint = read_checkpoint(max((tmp_path / "run" / "checkpoints").iterdir()))
    assert len(checkpoint.state["random"]) == 2
    assert flat(together(tmp_path, 1, recover=True)) == pytest.approx(flat(alone), rel=0, abs=1e-9)
