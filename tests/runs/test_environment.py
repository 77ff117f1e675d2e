import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest
import torch

from bertx.runs.environment import describe_environment, describe_files, git_state, source_files
from tests.conftest import REPOSITORY


def git(folder, *arguments):
    author = {f"GIT_{role}_{what}": "a" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", folder, *arguments],
        env={**os.environ, **author, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A repository of one commit with one file."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.jsonnet").write_text("{}")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "a")
    return folder


def test_versions_of_all_packages_and_of_python_are_there(tmp_path):
    found = describe_environment(tmp_path)
    names = ("torch", "tokenizers", "numpy", "bertx", "pytest")
    assert {name: found["packages"][name] for name in names} == {name: version(name) for name in names}
    assert found["python"] == sys.version.split()[0]


def test_the_hardware_is_there(tmp_path):
    hardware = describe_environment(tmp_path)["hardware"]
    assert (hardware["cpu_count"], hardware["threads"]) == (os.cpu_count(), torch.get_num_threads())
    assert len(hardware["gpus"]) == torch.cuda.device_count()
    assert hardware["memory_bytes"] > 2**29
    assert hardware["cpu"].strip()


def test_no_environment_variable_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "the-secret-of-the-user")
    assert "the-secret-of-the-user" not in json.dumps(describe_environment(tmp_path))


def test_a_folder_in_a_repository_has_its_commit(checkout):
    commit = git(checkout, "rev-parse", "HEAD")
    assert git_state(checkout) == {"commit": commit, "dirty": False}
    assert describe_environment(checkout)["git"]["config"] == {"commit": commit, "dirty": False}


def test_a_changed_file_makes_it_dirty_and_a_new_one_does_not(checkout):
    (checkout / "new.txt").touch()
    assert git_state(checkout)["dirty"] is False
    (checkout / "a.jsonnet").write_text("{a: 1}")
    assert git_state(checkout)["dirty"] is True


def test_a_folder_in_no_repository_has_none(tmp_path):
    assert git_state(tmp_path) is None


def test_without_git_there_is_none(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state(checkout) is None


def test_files_are_described_by_size_and_hash(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"good\n")
    assert describe_files([tmp_path / "a.txt"]) == [
        {
            "path": (tmp_path / "a.txt").as_posix(),
            "bytes": 5,
            "sha256": hashlib.sha256(b"good\n").hexdigest(),
        }
    ]


def test_the_sources_of_a_users_package_are_all_its_files(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "their_package" / "below").mkdir(parents=True)
    for name in ("__init__.py", "b.py", "below/__init__.py"):
        (tmp_path / "their_package" / name).touch()
    (tmp_path / "their_module.py").touch()
    package = tmp_path / "their_package"
    assert source_files("their_package") == [
        package / "__init__.py",
        package / "b.py",
        package / "below" / "__init__.py",
    ]
    assert source_files("their_module") == [tmp_path / "their_module.py"]


def test_the_sources_of_a_users_package_are_described(tmp_path):
    (tmp_path / "mine.py").write_text("x = 1\n")
    name = str(tmp_path / "mine.py")
    (file,) = describe_environment(tmp_path, [name])["include_package_files"][name]
    assert file["sha256"] == hashlib.sha256(b"x = 1\n").hexdigest()


def test_bertx_is_described_by_the_commit_of_its_checkout():
    found = describe_environment(REPOSITORY)["git"]
    assert found["bertx"] == found["config"] == git_state(REPOSITORY)
