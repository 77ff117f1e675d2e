"""Runs on a local Ray cluster of two nodes."""

import json

import pytest

from bertx.ablation.running.ablate import ablate
from bertx.ablation.running.training import train_run
from bertx.errors import ConfigError
from tests.ablation.running.test_processes import SMALL, numbers
from tests.ablation.tiny_study import Inline, plan_of, study_file


@pytest.fixture(scope="module")
def cluster():
    import ray
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    started.add_node(num_cpus=1)
    ray.init(address=started.address, log_to_driver=False)
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.mark.oracle
def test_results_on_two_nodes_are_those_of_a_serial_study(cluster, tmp_path):
    from bertx.ablation.running.ray_cluster import RayExecutor

    plan = plan_of(study_file(tmp_path / "p", SMALL))
    ablate(plan, tmp_path / "serial", Inline(train_run))
    _, counts = ablate(plan, tmp_path / "ray", RayExecutor(1))
    assert (counts.finished, counts.failed) == (4, 0)
    assert numbers(tmp_path / "ray") == numbers(tmp_path / "serial")


@pytest.mark.oracle
def test_a_failure_on_a_node_is_told_and_harms_no_other(cluster, tmp_path):
    from bertx.ablation.running.ray_cluster import RayExecutor

    plan = plan_of(study_file(tmp_path / "p", SMALL))
    ablate(plan, tmp_path / "s", Inline(lambda job: 1 / 0))  # all have failed
    for failure in sorted((tmp_path / "s" / "failures").iterdir())[1:]:
        failure.unlink()
    (kept,) = (tmp_path / "s" / "failures").iterdir()
    _, counts = ablate(plan, tmp_path / "s", RayExecutor(1))
    assert (counts.finished, counts.failed) == (3, 1)
    assert json.loads(kept.read_text())["error"] == "ZeroDivisionError: division by zero"


def test_a_missing_ray_is_told(monkeypatch):
    import sys

    from bertx.ablation.running.ray_cluster import RayExecutor

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'ray is missing; pip install "bertx\[ray\]"'):
        RayExecutor(1)
