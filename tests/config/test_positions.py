from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertx.config.construct import plan
from bertx.config.file import read_config
from bertx.config.outline import outline
from bertx.config.positions import Positions
from bertx.config.source_tokens import Unreadable
from bertx.errors import ConfigError
from tests.config.sample import Training

LIBRARY = """// shared
{
  adamw(lr):: { type: 'adamw', lr: lr },
  default: {
    type: 'adamw',
    lr: 1e-3,
  },
}
"""
SOURCE = """/* head
 { not: here } */
local encoder = "bert-base-uncased";   # a "hub" name
local base = {
  dropout: 0.1,
  inner: { a: 1, b: 2 },
};
local opts = import 'lib/opt.libsonnet', epochs = std.parseJson("3");
local f(x, y=3) = { x: x };
assert epochs > 0 : "no; epochs";
{
  local hidden = { q: 1 },
  dataset_reader: {
    type: "text_classification_json",   // {"text": ..., "label": ...} per line
    token_indexers: { bert: { type: "bert-pretrained", pretrained_model: encoder, max_pieces: 128 } },
  },
  "train_data_path": "train" + ".jsonl",
  text: |||
    {
      nothing: here
    |||,
  model: base {
    type: "bert", 'bert_model': encoder,
    inner+: {
      b: 3,
      c: if true then 1 else 2,
    },
  },
  cond: if epochs > 1 then { z: 1 } else { z: 2 },
  hidden: hidden,
  [if true then "computed"]: 3,
  called: f(3),
  trainer: {
    num_epochs: 2 * 3 + self.q,
    q:: 3,
    optimizer: opts.default + { lr: -1,
       weight_decay: 0.01, },
    callbacks: [
      { type: "a", every: 3 },
      "b",
    ] + [
      { type: "c" }],
    all: [{ type: x } for x in ["a", "b"]],
  },
} + { extra: 1 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/opt.libsonnet").write_text(LIBRARY, encoding="utf-8")
    (tmp_path / "x.jsonnet").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def place(path: str, *overrides: str) -> str | None:
    return Positions(Path("x.jsonnet")).overridden(list(overrides)).place(tuple(path.split(".")))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("dataset_reader", 13),
        ("dataset_reader.token_indexers.bert.max_pieces", 15),
        ("train_data_path", 17),
        ("text", 18),
        ("model", 22),
        ("model.dropout", 5),
        ("model.type", 23),
        ("model.bert_model", 23),
        ("model.inner", 24),
        ("model.inner.a", 6),
        ("model.inner.b", 25),
        ("model.inner.c", 26),
        ("hidden.q", 12),
        ("trainer.num_epochs", 34),
        ("trainer.optimizer.lr", 36),
        ("trainer.optimizer.weight_decay", 37),
        ("trainer.callbacks.0.every", 39),
        ("trainer.callbacks.1", 40),
        ("trainer.callbacks.2.type", 42),
        ("trainer.all.1.type", 43),
        ("extra", 45),
    ],
)
def test_keys_are_found_on_their_line(folder: Path, path: str, line: int):
    assert place(path) == f"x.jsonnet:{line}"


def test_keys_of_imported_files_are_found_there(folder: Path):
    assert place("trainer.optimizer.type") == str(Path("lib/opt.libsonnet:5"))


@pytest.mark.parametrize(
    ("path", "line"), [("cond.z", 29), ("called.x", 32), ("trainer.nope", 33), ("trainer.callbacks.9", 38)]
)
def test_what_cannot_be_followed_gets_the_line_of_what_surrounds_it(folder: Path, path: str, line: int):
    assert place(path) == f"x.jsonnet:{line}"


@pytest.mark.parametrize("path", ["computed", "nope"])
def test_what_is_not_written_at_the_top_has_no_line(folder: Path, path: str):
    assert place(path) is None


def test_a_left_side_is_not_trusted_where_the_right_side_is_unknown(folder: Path):
    Path("x.jsonnet").write_text("{\n a: {\n b: 1 }\n} + std.foo({})", encoding="utf-8")
    assert place("a.b") is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("trainer.optimizer.lrr", "-o trainer.optimizer.lrr=3"),
        ("trainer.optimizer.lr", "x.jsonnet:36"),
        ("trainer.callbacks.0", "x.jsonnet:40"),
        ("trainer.callbacks.1.type", "x.jsonnet:42"),
        ("model.type", "-o ~model.type"),
        ("a", "-o a.b.c=1"),
        ("a.b", "-o a.b.c=1"),
        ("trainer.foo.x.1", '-o trainer.foo={"x": [1, 2]}'),
    ],
)
def test_what_overrides_wrote_is_attributed_to_them(folder: Path, path: str, expected: str):
    overrides = ["trainer.optimizer.lrr=3", "~trainer.callbacks.0", "~model.type", "a.b.c=1"]
    assert place(path, *overrides, '{"trainer.foo": {"x": [1,2]}}') == expected


@pytest.mark.parametrize(
    "text", ["", "{", "{a: }", "local x = x; x", "local a = b, b = a; a + {c: 1}", "import 'x.jsonnet'"]
)
def test_unreadable_and_circular_sources_have_no_lines(folder: Path, text: str):
    Path("x.jsonnet").write_text(text, encoding="utf-8")
    assert place("z") is None


def test_a_missing_file_has_no_lines(tmp_path: Path):
    assert Positions(tmp_path / "nope").place(("a",)) is None


def test_json_files_have_lines_too(tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_text('{\n "a": {"b": -1.5e3,\n "c\\"d": [null, true]}}', encoding="utf-8")
    assert Positions(path).place(("a", 'c"d', 1)) == f"{path}:3"


def test_problems_are_reported_with_their_lines(folder: Path):
    Path("t.jsonnet").write_text(
        '{\n  optimizer: {\n    type: "sgd",\n    l: 1,\n  },\n}\n', encoding="utf-8"
    )
    config, positions = read_config(Path("t.jsonnet"), ["num_epochs=x", "~optimizer.type"])
    with pytest.raises(ConfigError) as raised:
        plan(Training, config, "t.jsonnet", positions)
    lines = str(raised.value).splitlines()
    assert lines[0].startswith('t.jsonnet:4: optimizer.l: unknown key; did you mean "lr"?')
    assert lines[1] == '-o num_epochs=x: num_epochs: expected a whole number, got "x"'


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_sources_are_read_or_refused_but_never_crash(data: st.DataObject):
    start = data.draw(st.integers(0, len(SOURCE) - 1))
    end = data.draw(st.integers(start, min(len(SOURCE), start + 20)))
    damaged = SOURCE[:start] + data.draw(st.text("{}[](),:;+'\"|x1= \n", max_size=5)) + SOURCE[end:]
    try:
        outline(damaged)
    except Unreadable as error:
        assert str(error)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_but_never_crashes(text: str):
    try:
        outline(text)
    except Unreadable as error:
        assert str(error)


@pytest.mark.parametrize("text", ["[" * 5000, "{a:" * 5000, "(" * 5000, "x + " * 5000, "local a = " * 5000])
def test_deep_sources_are_refused(text: str):
    with pytest.raises(Unreadable):
        outline(text)
