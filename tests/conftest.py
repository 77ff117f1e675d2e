"""Fixtures shared by all tests."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

import pytest

from bertx.progress import Progress
from bertx.tar_gz import unpack
from tests.tiny import Trained, config, train_once

REPOSITORY = Path(__file__).parent.parent

os.environ.setdefault("KERAS_BACKEND", "torch")  # for oracles; Keras reads it when it is imported


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the heavy oracles warn: what they have to say of themselves is not ours to mend."""
    for item in items:
        if item.get_closest_marker("oracle"):
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the public data sets, outside the repository: `BERTX_DATA`, or ../shared/data."""
    folder = Path(os.environ.get("BERTX_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the public data sets are not here; set BERTX_DATA to their folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory):
    """Keeps encoded data of the tests away from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BERTX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small checkpoints that KerasHub and TensorFlow wrote; tests must not change them."""
    folder = tmp_path_factory.mktemp("golden")
    unpack(REPOSITORY / "tests" / "bert" / "checkpoints" / "golden" / "golden.tar.gz", folder)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A tiny finished run, trained once for all tests; they must not change it."""
    # With this seed the run, which has learned next to nothing, gives both labels.
    return train_once(tmp_path_factory.mktemp("trained"), config(random_seed=2))


@pytest.fixture(autouse=True)
def log_level():
    """Starts each test with the log as it is on import; commands change it."""
    logger = logging.getLogger("bertx")
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()
    Progress.lines_only = False


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every connection an error."""

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection was tried: {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def registries():
    """Forgets, after the test, the components that it registered."""
    from bertx.config.schema import families
    from bertx.runs.planning import register_components

    register_components()
    known = [(family.registry, dict(family.registry)) for family in families().values()]
    yield
    for registry, members in known:
        registry.clear()
        registry.update(members)
