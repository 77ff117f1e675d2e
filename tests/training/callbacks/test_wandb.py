import json
import socket
import time

import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from bertx.errors import ConfigError
from bertx.training.callbacks.wandb import WandbTracker
from tests.training.callbacks.following import context, play, play_twice

BLOCK, HEADER, FILE_HEADER = 32768, 7, 7


@pytest.fixture(autouse=True)
def at_home(monkeypatch, tmp_path):
    """Keeps the user's account, the network and files at home out of the tests."""
    connect = socket.socket.connect

    def connect_here(one, address):
        assert one.family == socket.AF_UNIX, f"a connection was tried: {address}"
        connect(one, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "WANDB_MODE", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb-home"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield
    wandb.teardown()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "run-7"
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"trainer": {"num_epochs": 3}, "random_seed": 1}))
    return made


def records(path):
    """Reads a file of wandb: records cut into blocks, each piece after its checksum, length and kind."""
    content, place, record = path.read_bytes(), FILE_HEADER, b""
    while place + HEADER <= len(content):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        record += content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # whole, or the last piece
            yield wandb_internal_pb2.Record.FromString(record)
            record = b""


def runs(folder):
    """Returns the records of every offline run, in the order in which they began."""
    wandb.teardown()  # only then all is on the disk
    return [list(records(path)) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]


def begun(run):
    return next(record.run for record in run if record.HasField("run"))


def points(run):
    """Returns for each step its numbers, without those that wandb adds."""
    found = {}
    for line in (record.history for record in run if record.HasField("history")):
        values = {item.nested_key[0]: json.loads(item.value_json) for item in line.item}
        own = {name: value for name, value in values.items() if not name.startswith("_")}
        found[values["_step"]] = own
    return found


def tracker():
    return WandbTracker("films", "me", group="g", tags=["a"], notes="why", mode="offline", every=4)


def follow(callback, folder):
    where = context(folder)
    callback.on_start(where)
    play(callback, where)
    callback.on_end(where)


def test_an_offline_run_holds_steps_validations_and_epochs(folder):
    follow(tracker(), folder)
    (run,) = runs(folder)
    assert points(run) == {
        4: {"train/loss": 0.25, "train/lr": 0.5, "train/grad_norm": 2},
        5: {"validation/accuracy": 0.5},
        8: {"train/loss": 0.125, "train/lr": 1, "train/grad_norm": 2},
        10: {
            "train/loss": 0.1,
            "train/lr": 1.25,
            "train/grad_norm": 2,
            "validation/accuracy": 1,
            "epoch/training_loss": 0.25,
        },
    }


def test_an_offline_run_holds_its_names_and_the_config(folder):
    follow(tracker(), folder)
    run = begun(runs(folder)[0])
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (run.project, run.run_group, list(run.tags), run.notes) == ("films", "g", ["a"], "why")
    assert (run.entity, run.display_name) == ("me", "run-7")
    assert (config["trainer"], config["random_seed"]) == ({"num_epochs": 3}, 1)


def test_a_resumed_training_goes_on_in_the_same_run(folder):
    def after_a_kill():
        wandb.teardown()
        time.sleep(1)  # wandb names the folder of a run by the second
        return WandbTracker(mode="offline", every=1)

    play_twice(after_a_kill, folder, validated=True)
    killed, resumed = runs(folder)
    assert begun(killed).run_id == begun(resumed).run_id
    assert list(points(resumed)) == [6, 7, 8, 9, 10]


def test_points_that_the_run_has_are_not_sent_again(folder):
    callback, where = WandbTracker(mode="offline", every=1), context(folder)
    callback.on_start(where)
    callback._run.log({"train/loss": 0.5}, step=7)  # as if the run had come to here before a kill
    play(callback, where)
    callback.on_end(where)
    assert list(points(runs(folder)[0])) == [7, 8, 9, 10]


def test_how_a_training_ended_is_told(folder):
    callback, where = tracker(), context(folder)
    callback.on_start(where)
    try:
        raise ConfigError("oh")
    except ConfigError:
        callback.on_end(where)
    assert [record.exit.exit_code for record in runs(folder)[0] if record.HasField("exit")] == [1]


def test_without_a_login_it_says_what_to_do(folder, monkeypatch):
    monkeypatch.setattr(wandb, "init", lambda **_: (_ for _ in ()).throw(wandb.errors.UsageError("no key")))
    message = r'"wandb" cannot begin a run: no key; log in with `wandb login`, or give it "mode": "offline"$'
    with pytest.raises(ConfigError, match=message):
        WandbTracker().on_start(context(folder))


def test_without_a_folder_nothing_is_begun(monkeypatch):
    monkeypatch.setattr(wandb, "init", None)
    follow(WandbTracker(), None)
