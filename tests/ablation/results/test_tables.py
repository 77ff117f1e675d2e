import csv
import io
import json
import re
import shutil

import numpy as np
import pytest

from bertx.ablation.results.comparison import study_results
from bertx.ablation.results.tables import (
    Table,
    as_csv,
    as_markdown,
    as_tex,
    metric_decimals,
    table_of,
    write_tables,
)
from tests.ablation.results.made_study import make_study

VARIANTS = {"base": 0.85, "no warm-up": 0.85, "weak|_&": 0.65}
HOSTILE = Table("t", ["variant", "50 %"], [['a_b & $c # {d} ~e^f\\g <h> | "i', "-0.5"]], ["*note* [x](y)"])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    make_study(folder, VARIANTS, failed=[("weak|_&", 2)], degenerate=[("weak|_&", 3)])
    write_tables(folder)
    return folder


def rows_of(folder):
    return list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))


def accuracies(folder, variant):
    """Recomputes the accuracy of each seed from the predictions."""
    found = {}
    for line in map(json.loads, (folder / "results.jsonl").read_text().splitlines()):
        if line["variant"] == variant and line["status"] == "finished":
            text = (folder / line["folder"] / "predictions.jsonl").read_text()
            lines = [json.loads(one) for one in text.splitlines()]
            found[line["seed"]] = np.mean([one["gold"] == one["prediction"] for one in lines])
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_accuracy_in_the_csv_is_that_of_the_predictions(study, variant):
    row = next(row for row in rows_of(study) if (row["variant"], row["metric"]) == (variant, "accuracy"))
    ours, base = accuracies(study, variant), accuracies(study, "base")
    assert float(row["mean"]) == pytest.approx(np.mean(list(ours.values())), abs=1e-9)
    assert float(row["standard_deviation"]) == pytest.approx(np.std(list(ours.values()), ddof=1), abs=1e-9)
    assert int(row["seeds"]) == len(ours)
    if variant != "base":
        gaps = [ours[seed] - base[seed] for seed in ours]
        assert float(row["difference"]) == pytest.approx(np.mean(gaps), abs=1e-9)
        assert float(row["probability_of_improvement"]) == np.mean(
            [(gap > 0) + (gap == 0) / 2 for gap in gaps]
        )


@pytest.mark.parametrize("name", ["table.md", "table.tex"])
def test_the_tables_for_people_show_the_numbers_of_the_csv(study, name):
    text = (study / name).read_text().replace("$-$", "-")
    results = study_results(study)
    for row in rows_of(study):
        digits = metric_decimals(results, row["metric"])
        mean, low, high = (float(row[key]) for key in ("mean", "low", "high"))
        assert f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]" in text
        if row["adjusted_p_value"]:
            change, low, high = (float(row[f"difference{end}"]) for end in ("", "_low", "_high"))
            assert f"{change:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]" in text


def test_equal_studies_give_equal_bytes(study, tmp_path):
    make_study(tmp_path, VARIANTS, failed=[("weak|_&", 2)], degenerate=[("weak|_&", 3)])
    study_file = tmp_path / "study.json"
    study_file.write_text(study_file.read_text().replace(tmp_path.name, study.name))
    write_tables(tmp_path)
    for name in ("table.md", "table.tex", "table.csv"):
        assert (tmp_path / name).read_bytes() == (study / name).read_bytes()


def test_times_do_not_change_the_tables(study, tmp_path):
    shutil.copytree(study, tmp_path / "copy")
    path = tmp_path / "copy" / "results.jsonl"
    path.write_text(re.sub(r'"seconds": [\d.]+', '"seconds": 1.0', path.read_text()))
    write_tables(tmp_path / "copy")
    assert (tmp_path / "copy" / "table.csv").read_bytes() == (study / "table.csv").read_bytes()


def test_the_markdown_table_has_a_row_for_each_variant(study):
    lines = (study / "table.md").read_text().splitlines()
    heads = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert heads == [
        "variant",
        "base (comparison)",
        "no warm-up",
        "weak\\",
    ]  # the last one has a | in its name
    assert r"| weak\|\_&amp; † | 4/5 |" in lines[6]


def test_notes_name_degenerate_and_failed_runs(study):
    notes = table_of(study_results(study)).notes
    faults = 'predicts "negative" for every instance and its training loss does not fall'
    assert f"† weak|_&, seed 3: {faults}." in notes
    assert "weak|_&: seed 2 failed (the loss is nan; lower the <rate>)." in notes


def test_markdown_escapes_what_it_would_take_for_more_than_text():
    text = as_markdown(HOSTILE)
    assert r'a\_b &amp; $c \# {d} \~e^f\\g &lt;h&gt; \| "i | -0.5 |' in text
    assert r"\*note\* \[x\](y)" in text


def test_tex_escapes_what_it_would_take_for_commands():
    text = as_tex(HOSTILE)
    assert r"a\_b \& \$c \# \{d\} \textasciitilde{}e\textasciicircum{}f\textbackslash{}g" in text
    assert r"g \textless{}h\textgreater{} \textbar{} \textquotedbl{}i & $-$0.5 \\" in text
    assert r"variant & 50 \% \\" in text


def test_tex_has_as_many_cells_as_columns(study):
    lines = (study / "table.tex").read_text().splitlines()
    columns = re.fullmatch(r"\\begin\{tabular\}\{(l?r+)\}", lines[1])[1]
    rows = [line for line in lines if line.endswith(r"\\")]
    assert [len(re.split(r"(?<!\\)&", row)) for row in rows] == [len(columns)] * 4


def test_a_study_in_which_nothing_is_compared_has_no_columns_for_it(tmp_path):
    make_study(tmp_path, {"only": 0.8})
    table = table_of(study_results(tmp_path))
    assert table.columns == ["variant", "runs", "accuracy", "loss", "words"]
    assert len(table.rows[0]) == 5


def test_one_seed_covers_instances_only(tmp_path):
    make_study(tmp_path, VARIANTS, seeds=[1])
    results = study_results(tmp_path)
    row = next(csv.DictReader(io.StringIO(as_csv(results))))
    assert (row["covers"], row["standard_deviation"]) == ("instances", "")
    assert results.variants[1].cells["accuracy"].against.test == "McNemar"


def test_runs_that_are_missing_are_one_sentence(tmp_path):
    make_study(tmp_path, VARIANTS)
    path = tmp_path / "results.jsonl"
    path.write_text(path.read_text().replace('"finished"', '"missing"', 2))
    assert "base: 2 yet to be run (seed 1; seed 2)." in table_of(study_results(tmp_path)).notes


def test_one_seed_of_which_only_scores_are_known_is_not_tested(tmp_path):
    make_study(tmp_path, VARIANTS, seeds=[1])
    for path in tmp_path.glob("runs/*/predictions.jsonl"):
        path.unlink()
    table = table_of(study_results(tmp_path))
    assert [row[-2:] for row in table.rows[1:]] == [["-", "no difference shown"]] * 2
    assert table.notes == ["Means over seeds on the test data; higher accuracy is better."]
