from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertx.config.jsonnet import evaluate, evaluate_config, evaluate_snippet
from bertx.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `configs/` inside and a secret beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "lib").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("{}", encoding="utf-8")
    return tmp_path


def evaluated(text: str, name: str = "x.jsonnet", **options: object) -> object:
    path = Path("configs") / name
    path.write_text(text, encoding="utf-8")
    return evaluate_config(path, **options)


def message(text: str, name: str = "x.jsonnet") -> str:
    with pytest.raises(ConfigError) as raised:
        evaluated(text, name)
    return str(raised.value)


def test_jsonnet_becomes_plain_values(folder: Path):
    assert evaluated("local a = 2e-5; {lr: a, n: 3.0, list: [null, true]}") == {
        "lr": 2e-5,
        "n": 3,
        "list": [None, True],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{\n\n a: foo}", "configs/x.jsonnet:3:5: unknown variable: foo"),
        ("{a: 1", "configs/x.jsonnet:1:6: expected a comma before next field"),
        ("{a: 1, a: 2}", "configs/x.jsonnet:1:8: duplicate field: a"),
        ("{a: {}.lr}", "configs/x.jsonnet:1:5: field does not exist: lr"),
        ("{a: error 'b'}", "configs/x.jsonnet:1:5: b"),
        (
            "{a: std.extVar('LR')}",
            'configs/x.jsonnet:1:5: external variable "LR" has no value: --ext-var LR=VALUE is missing',
        ),
        ("", "configs/x.jsonnet: the file is empty; expected an object {...}"),
        ("[1]", "configs/x.jsonnet: a config must be an object {...}, but this file gives a list"),
        ("null", "configs/x.jsonnet: a config must be an object {...}, but this file gives null"),
    ],
)
def test_errors_have_a_place_and_one_sentence(folder: Path, text: str, expected: str):
    assert message(text) == expected


@pytest.mark.parametrize("text", ["local f(x) = f(x) + 1; {a: f(1)}", "{a: import 'x.jsonnet'}"])
def test_endless_recursion_is_an_error_with_a_short_stack(folder: Path, text: str):
    first, *stack = message(text).splitlines()
    assert first.endswith("endless recursion, or an import of itself (more than 500 calls deep)")
    assert len(stack) <= 5


def test_errors_in_imported_files_name_both_files(folder: Path):
    (folder / "configs/lib/a.libsonnet").write_text("{\n x: error 'bad'}", encoding="utf-8")
    assert message("{a: (import 'lib/a.libsonnet').x}").splitlines() == [
        "configs/lib/a.libsonnet:2:5: bad",
        "  called from configs/x.jsonnet:1:5-33 object <anonymous>",
    ]


def test_external_variables_are_strings(folder: Path):
    text = "{a: std.extVar('LR'), b: std.parseJson(std.extVar('LR'))}"
    assert evaluated(text, ext_vars={"LR": "1e-5"}) == {"a": "1e-5", "b": 1e-5}


def test_imports_below_the_config_work(folder: Path):
    (folder / "configs/lib/a.libsonnet").write_text("import 'b.libsonnet'", encoding="utf-8")
    (folder / "configs/lib/b.libsonnet").write_text("\ufeff{x: importstr 't.txt'}", encoding="utf-8")
    (folder / "configs/lib/t.txt").write_text("text", encoding="utf-8")
    assert evaluated("import 'lib/a.libsonnet'") == {"x": "text"}


def test_further_folders_may_be_allowed(folder: Path):
    (folder / "shared").mkdir()
    (folder / "shared/a.libsonnet").write_text("{x: 1}", encoding="utf-8")
    assert evaluated("import 'a.libsonnet'", import_paths=[Path("shared")]) == {"x": 1}


@pytest.mark.parametrize("keyword", ["import", "importstr", "importbin"])
@pytest.mark.parametrize(
    "target", ["../secret.txt", "lib/../../secret.txt", "ABSOLUTE", "link.txt", "out/secret.txt"]
)
def test_imports_cannot_leave_the_folder(folder: Path, keyword: str, target: str):
    (folder / "configs/link.txt").symlink_to(folder / "secret.txt")
    (folder / "configs/out").symlink_to(folder, target_is_directory=True)
    target = str(folder / "secret.txt") if target == "ABSOLUTE" else target
    assert message(f"{{a: {keyword} '{target}'}}").startswith(
        f'configs/x.jsonnet:1:5: import "{target}" leaves the folders that may be imported from (configs)'
    )


def test_imported_files_cannot_leave_the_folder_either(folder: Path):
    (folder / "configs/lib/a.libsonnet").write_text("import '../../secret.txt'", encoding="utf-8")
    assert 'import "../../secret.txt" leaves the folders' in message("import 'lib/a.libsonnet'")


def test_text_without_a_file_can_import_nothing(folder: Path):
    with pytest.raises(ConfigError, match=r"leaves the folders that may be imported from \(no folder\)"):
        evaluate_snippet("--overrides", "{a: import 'secret.txt'}")


def test_a_missing_import_says_where_it_was_looked_for(folder: Path):
    assert message("{a: import 'nope'}") == 'configs/x.jsonnet:1:5: import "nope": no such file in configs'


def test_too_many_imports_are_refused(folder: Path):
    for index in range(201):
        (folder / f"configs/lib/{index}").write_text(str(index), encoding="utf-8")
    text = "[" + ",".join(f"import 'lib/{index}'" for index in range(201)) + "]"
    assert "a config may import 200 files and 4000000 bytes at most" in message(text)


def test_too_large_imports_are_refused(folder: Path):
    (folder / "configs/lib/large").write_text("'" + "x" * 4_000_000 + "'", encoding="utf-8")
    assert "a config may import 200 files and 4000000 bytes at most" in message("{a: import 'lib/large'}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": NaN}', "configs/x.json: NaN is no JSON number; expected a finite number"),
        ('{"a": -Infinity}', "configs/x.json: -Infinity is no JSON number; expected a finite number"),
        ('{"a": 1e999}', "configs/x.json: 1e999 is no JSON number; expected a finite number"),
        ('{"a": 1, "a": 2}', 'configs/x.json: the key "a" stands twice in one object'),
        ('{"a": }', "configs/x.json:1:7: not JSON: Expecting value"),
        ("[" * 100_000, "configs/x.json: nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "configs/x.json: a number has more digits than can be read"),
        ("{} x", "configs/x.json:1:4: not JSON: Extra data"),
    ],
)
def test_plain_json_is_checked_as_strictly(folder: Path, text: str, expected: str):
    assert message(text, "x.json") == expected


def test_plain_json_may_start_with_a_byte_order_mark(folder: Path):
    assert evaluated('\ufeff{"a": 1}', "x.json") == {"a": 1}


def test_a_byte_order_mark_does_not_disturb_jsonnet(folder: Path):
    assert evaluated("\ufeff{a: 1}") == {"a": 1}


def test_other_encodings_are_refused_with_the_line(folder: Path):
    Path("configs/x.jsonnet").write_bytes(b'{\n a: "\xe9"}')
    with pytest.raises(
        ConfigError, match=r"^configs/x.jsonnet:2: not UTF-8 \(byte 0xe9\); save it as UTF-8$"
    ):
        evaluate(Path("configs/x.jsonnet"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("nope.jsonnet", "^nope.jsonnet: no such file; the current folder is "),
        ("configs", "^configs: a folder; name the config file inside it$"),
        ("secret.txt/x", r"^secret.txt/x: cannot be read \(Not a directory\)"),
    ],
)
def test_files_that_cannot_be_read_are_named(folder: Path, path: str, expected: str):
    with pytest.raises(ConfigError, match=expected):
        evaluate(Path(path))


@given(st.text(max_size=30))
@settings(max_examples=50, deadline=None)
def test_any_text_gives_a_value_or_a_config_error(text: str):
    try:
        evaluate_snippet("x", text)
    except ConfigError as error:
        assert str(error).startswith("x")
