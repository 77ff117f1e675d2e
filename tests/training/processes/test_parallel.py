"""Several processes compute what one would; what they compute is in `in_parallel.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import run_together

SIZES = (2, 3)
STRATEGIES = ("ddp", "fsdp")


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size} processes")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """What each process found, all at once: starting them takes the time."""
    folder: Path = tmp_path_factory.mktemp("parallel")
    return run_together("tests.training.processes.in_parallel:check", request.param, folder)


def largest(results, name: str) -> float:
    return max(result[name] for result in results)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_gradients_and_their_norm_are_those_of_the_whole_batch(results, strategy):
    assert largest(results, f"{strategy} plain") < 1e-6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_frozen_weights_beside_lora_do_no_harm(results, strategy):
    assert largest(results, f"{strategy} lora") < 1e-6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_parameter_without_a_part_in_the_loss_gets_no_gradient(results, strategy):
    assert largest(results, f"{strategy} unused") < 1e-6


@pytest.mark.parametrize("passes", ["two forward passes", "two backward passes"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_objectives_may_pass_through_the_model_twice(results, strategy, passes):
    assert largest(results, f"{strategy} {passes}") < 1e-6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_penalty_is_added_once(results, strategy):
    assert largest(results, f"{strategy} penalty") < 1e-6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_weights_and_moments_after_training_are_those_of_one_process(results, strategy):
    assert largest(results, f"{strategy} after") < 1e-6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_one_process_saved_is_loaded_exactly(results, strategy):
    assert largest(results, f"{strategy} loaded") == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_training_goes_on_from_what_one_process_saved(results, strategy):
    assert largest(results, f"{strategy} later") < 1e-6


def test_thawed_parameters_are_synchronized_after_renewal(results):
    assert largest(results, "thawing") < 1e-6


def test_metrics_are_those_of_one_process(results):
    assert [result["metrics"]["is that of one"] for result in results] == [True] * len(results)


def test_own_counts_come_back_after_a_look_at_the_sums(results):
    assert [result["metrics"]["is own again"] for result in results] == [True] * len(results)


def test_fsdp_refuses_to_thaw_what_it_has_cut(results):
    message = (
        "distributed.strategy: fsdp cannot freeze or thaw parameters while it trains, as "
        "trainer.gradual_unfreezing does; choose ddp"
    )
    assert [result["refused"] for result in results] == [message] * len(results)


def test_nothing_is_pickled_between_processes(results):
    assert [result["unpickled"] for result in results] == [[]] * len(results)
