"""The rooms of the house and who may import whom; reads the imports of every module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bertx"

# From the ground up: a room imports from rooms on lower floors, and from its own.
FLOORS = [
    {"errors"},
    {"atomic", "progress", "log", "devices", "world", "huge_pages"},
    {"tar_gz"},
    {"config"},
    {"bert", "paths"},
    {"data"},
    {"metrics"},
    {"models"},
    {"training"},
    {"experiment"},
    {"assembly"},
    {"runs"},
    {"api", "exports", "keras_style"},
    {"ablation"},
    {"report"},
    {"cli"},
]
ROOM_FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(parts: tuple[str, ...]) -> str | None:
    """Returns the room of a dotted name below bertx; None for the package itself."""
    return parts[1] if len(parts) > 1 and parts[0] == "bertx" else None


def imported_names(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return names


def home(path: Path) -> str | None:
    relative = path.relative_to(PACKAGE.parent).with_suffix("")
    return room_of(relative.parts)


@pytest.mark.parametrize(
    "path", [path for path in MODULES if home(path) not in (None, "__init__", "__main__")]
)
def test_imports_point_down(path):
    room = home(path)
    rooms = {room_of(tuple(name.split("."))) for name in imported_names(path)} - {None, room}
    upwards = [other for other in rooms if ROOM_FLOOR[other] >= ROOM_FLOOR[room]]
    assert upwards == []


def test_every_room_has_its_floor():
    rooms = {home(path) for path in MODULES} - {None, "__init__", "__main__"}
    assert rooms == set(ROOM_FLOOR)


@pytest.mark.parametrize("path", sorted((PACKAGE / "config").rglob("*.py")), ids=lambda path: path.name)
def test_config_knows_no_torch(path):
    assert not [name for name in imported_names(path) if name.split(".")[0] in ("torch", "numpy")]


def test_jsonnet_is_imported_in_one_file_only():
    users = [path.name for path in MODULES if "_jsonnet" in imported_names(path)]
    assert users == ["jsonnet.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_can_load_a_pickle(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # The exception that torch.load raises is no way to load anything.
    imported = {name.split(".")[0] for name in imported_names(path) if name != "pickle.UnpicklingError"}
    assert not imported & {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if ast.unparse(call.func) == "torch.load":
            assert keywords.get("weights_only") == "True"
        assert keywords.get("allow_pickle") != "True"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    too_long = [node.name for node in functions if body_lines(node) > 40]
    assert text.count("\n") <= 300
    assert too_long == []


def body_lines(function: ast.FunctionDef) -> int:
    """Counts the lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0
