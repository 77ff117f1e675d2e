"""The README tells the truth: its config is good, its code runs, its table is complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bertx.config.jsonnet import evaluate_snippet
from bertx.config.packages import include_package
from bertx.config.schema import families
from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.runs.planning import plan_experiment, register_components

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str = "") -> list[str]:
    """Returns the fenced blocks of a language; of none, the printed output."""
    parts = re.split(r"^```(.*)$", README, flags=re.MULTILINE)  # text, fence, block, fence, text, ...
    return [block for fence, block in zip(parts[1::4], parts[2::4], strict=True) if fence == language]


def families_table() -> str:
    register_components()
    rows = [
        f"| `{name}` | {', '.join(f'`{member}`' for member in sorted(family.registry))} |"
        for name, family in families().items()
        if family.__module__.startswith("bertx.")  # not the small families of other tests
    ]
    return "\n".join(rows)


def test_there_are_exactly_two_set_up_commands():
    commands = [line for line in README.splitlines() if line.startswith("pip install")]
    assert commands == [
        'pip install -c constraints.txt -e ".[report]" && '
        "bertx train configs/quickstart.jsonnet -s runs/quickstart",
        'pip install -c constraints.txt -e ".[dev]" && pytest',
    ]


def test_the_config_is_good():
    (text,) = blocks("jsonnet")
    plan_experiment(evaluate_snippet("README.md", text))


def test_the_table_of_families_is_that_of_the_registry():
    assert families_table() in README


def test_the_reader_in_one_file_reads(tmp_path):
    code = next(text for text in blocks("python") if "StarsReader" in text)
    (tmp_path / "my_reader.py").write_text(code, encoding="utf-8")
    (tmp_path / "films.txt").write_text("5 What a film!\n1 Dull.\n", encoding="utf-8")
    include_package(str(tmp_path / "my_reader.py"))
    try:
        reader = DatasetReader.registry.pop("stars")({"bert": object()})
        labels = [instance.fields["label"].label for instance in reader.read(tmp_path / "films.txt")]
    finally:
        DatasetReader.registry.pop("stars", None)
    assert labels == ["5", "1"]


def test_the_printed_metrics_are_those_of_a_run():
    metrics = json.loads(next(text for text in blocks() if "best_epoch" in text))
    assert metrics["test_accuracy"] > metrics["bag_of_words_test_accuracy"]


def test_the_readme_is_short():
    assert README.count("\n") <= 200
