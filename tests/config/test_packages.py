from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bertx.config.packages import include_package
from bertx.errors import ConfigError
from tests.config.sample import Hook

REGISTER = """
from __future__ import annotations
from tests.config.sample import Hook

@Hook.register("{name}")
def make(every: int = 1) -> Hook: ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder; modules and registrations of the test are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules, hooks = set(sys.modules), dict(Hook.registry)
    yield tmp_path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    Hook.registry.clear()
    Hook.registry.update(hooks)


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def test_reading_configs_needs_neither_torch_nor_numpy():
    names = ["file", "packages", "schema"]
    code = f"import sys; {'; '.join(f'import bertx.config.{name}' for name in names)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "bertx.config.construct" in loaded
    assert not {"torch", "numpy", "pydantic", "_jsonnet"} & set(loaded)


def test_a_package_is_imported_with_all_its_submodules(folder: Path):
    write("my_parts/__init__.py", "")
    write("my_parts/deep/__init__.py", "")
    write("my_parts/deep/hooks.py", REGISTER.format(name="deep"))
    write("my_parts/__main__.py", "raise SystemExit(3)")
    include_package("my_parts")
    include_package("my_parts")
    assert "deep" in Hook.registry


def test_a_file_is_imported_once(folder: Path):
    write("my_hook.py", REGISTER.format(name="mine"))
    include_package("my_hook.py")
    include_package(str(folder / "my_hook.py"))
    assert "mine" in Hook.registry


def test_two_files_of_one_name_do_not_meet(folder: Path):
    write("a/hook.py", REGISTER.format(name="from_a"))
    write("b/hook.py", REGISTER.format(name="from_b"))
    include_package("a/hook.py")
    include_package("b/hook.py")
    assert {"from_a", "from_b"} <= set(Hook.registry)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no_such_thing", 'no module "no_such_thing"; expected one that Python finds'),
        ("no_such.py", "--include-package no_such.py: no such file"),
    ],
)
def test_what_does_not_exist_is_named(folder: Path, name: str, expected: str):
    with pytest.raises(ConfigError, match=expected):
        include_package(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n1 / 0\n", r"broken.py:2: ZeroDivisionError: division by zero"),
        (
            "import absent_dependency\n",
            r"broken.py:1: ModuleNotFoundError: No module named 'absent_dependency'",
        ),
        ("def f(:\n", r"broken.py:1: SyntaxError: invalid syntax"),
        ("raise SystemExit(2)\n", r"broken.py:1: SystemExit: 2"),
        (REGISTER.format(name="log"), r'ValueError: Hook "log" is taken by LogHook; choose another name'),
    ],
)
@pytest.mark.parametrize("name", ["broken.py", "broken"])
def test_an_error_inside_is_told_with_its_line(folder: Path, name: str, text: str, expected: str):
    write("broken.py", text)
    with pytest.raises(ConfigError, match=rf"^--include-package {name}: .*{expected}"):
        include_package(name)


def test_an_error_in_a_submodule_is_not_swallowed(folder: Path):
    write("my_parts2/__init__.py", "")
    write("my_parts2/deep/__init__.py", "1 / 0")
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        include_package("my_parts2")
