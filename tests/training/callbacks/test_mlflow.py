import json
import logging

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from bertx.errors import ConfigError
from bertx.training.callbacks.mlflow import MlflowTracker
from tests.training.callbacks.following import context, play, play_twice


@pytest.fixture(autouse=True)
def at_home(no_network, monkeypatch):
    """Lets MLflow use a store of files, which it wants to be asked for."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "run-7"
    made.mkdir()
    config = {
        "trainer": {"num_epochs": 3, "optimizer": "adam"},
        "sizes": [1, 2],
        "none": {},
        "long": "x" * 900,
    }
    (made / "config.json").write_text(json.dumps(config))
    return made


@pytest.fixture
def store(tmp_path):
    return (tmp_path / "store").as_uri()


def follow(callback, folder):
    where = context(folder)
    callback.on_start(where)
    play(callback, where)
    callback.on_end(where)


def runs(store, experiment="bertx"):
    client = MlflowClient(tracking_uri=store)
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def points(store):
    (run,) = runs(store)
    client = MlflowClient(tracking_uri=store)
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    return {name: [(point.step, point.value) for point in points] for name, points in histories.items()}


EVERY_FOURTH = {
    "train/loss": [(4, 0.25), (8, 0.125), (10, 0.1)],
    "train/lr": [(4, 0.5), (8, 1.0), (10, 1.25)],
    "train/grad_norm": [(4, 2), (8, 2), (10, 2)],
    "validation/accuracy": [(5, 0.5), (10, 1.0)],
    "epoch/training_loss": [(10, 0.25)],
}


def test_a_store_of_files_holds_steps_validations_and_epochs(folder, store):
    follow(MlflowTracker(tracking_uri=store, every=4), folder)
    assert points(store) == EVERY_FOURTH


def test_a_store_of_sqlite_holds_them_too(folder, tmp_path, caplog):
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    follow(MlflowTracker(tracking_uri=store, every=4), folder)
    assert points(store) == EVERY_FOURTH


def test_a_run_has_its_names_and_the_config(folder, store):
    follow(MlflowTracker("films", store, tags={"who": "me"}), folder)
    (run,) = runs(store, "films")
    assert (run.info.run_name, run.data.tags["who"], run.info.status) == ("run-7", "me", "FINISHED")
    assert run.data.params == {
        "trainer.num_epochs": "3",
        "trainer.optimizer": "adam",
        "sizes": "[1, 2]",
        "none": "{}",
        "long": "x" * 500,
    }


@pytest.mark.parametrize("validated", [False, True])
def test_a_resumed_training_goes_on_in_the_same_run_with_every_point_once(folder, store, validated):
    play_twice(lambda: MlflowTracker(tracking_uri=store, every=1), folder, validated=validated)
    found = points(store)
    assert [step for step, _ in found["train/loss"]] == list(range(1, 11))
    assert found["validation/accuracy"] == [(5, 0.5), (10, 1.0)]


def test_how_a_training_ended_is_told(folder, store):
    callback, where = MlflowTracker(tracking_uri=store), context(folder)
    callback.on_start(where)
    try:
        raise ConfigError("oh")
    except ConfigError:
        callback.on_end(where)
    assert runs(store)[0].info.status == "FAILED"


def test_a_store_that_cannot_be_used_is_told_before_the_first_step(folder):
    with pytest.raises(ConfigError, match=r'"mlflow" cannot begin a run: .*nonsense'):
        MlflowTracker(tracking_uri="nonsense://x").on_start(context(folder))


def test_a_run_that_is_gone_is_told(folder, store):
    callback = MlflowTracker(tracking_uri=store)
    callback.load_state_dict({"id": "0" * 32})
    with pytest.raises(ConfigError, match=r'"mlflow" cannot begin a run: .*0000'):
        callback.on_start(context(folder, first_step=5))


def test_numbers_that_cannot_be_sent_do_not_end_the_training(folder, store, monkeypatch, caplog):
    callback, where = MlflowTracker(tracking_uri=store), context(folder)
    callback.on_start(where)

    def fail(*_):
        raise MlflowException("gone")

    monkeypatch.setattr(callback._client, "log_batch", fail)
    with caplog.at_level(logging.WARNING, "bertx"):
        play(callback, where, last_step=5)
    assert caplog.messages == ["mlflow: the numbers of step 5 are not sent: gone"]


def test_without_a_folder_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    follow(MlflowTracker(), None)
    assert list(tmp_path.iterdir()) == []
