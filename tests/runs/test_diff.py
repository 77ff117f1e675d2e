import json
import math
import shutil

import pytest
import torch
from safetensors.torch import save_file

from bertx.errors import CheckpointError
from bertx.runs.diff import diff
from bertx.runs.differences import ABSENT, Difference, differences
from bertx.runs.weights_diff import Measure


def weights(path, **tensors):
    save_file({name.replace("__", "."): tensor for name, tensor in tensors.items()}, path)
    return path


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the finished run, to be changed."""
    shutil.copytree(trained.run, tmp_path / "copy")
    return tmp_path / "copy"


def edit(path, change):
    """Changes a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def compared(old, new, measure=None, prefixes=("", "")):
    return [str(found) for found in diff(old, new, measure or Measure(), prefixes).tensors]


def test_leaves_that_differ_have_their_places():
    old = {"same": 1, "number": 2, "gone": None, "list": [1, {"a": True}], "kind": {"b": 1}}
    new = {"same": 1, "number": 2.5, "list": [1, {"a": 1}, 3], "kind": "text", "new": math.nan}
    assert [str(found) for found in differences(old, new)] == [
        "number: 2 -> 2.5",
        "gone: null -> nothing",
        "list.1.a: true -> 1",
        "list.2: nothing -> 3",
        'kind: {"b": 1} -> "text"',
        "new: nothing -> NaN",
    ]


def test_a_nan_is_the_same_as_a_nan():
    assert list(differences({"a": math.nan}, {"a": math.nan})) == []


def test_a_difference_tells_how_much_a_number_has_grown():
    assert Difference("a", 1.5, 2).as_json() == {"key": "a", "old": 1.5, "new": 2, "change": 0.5}
    assert Difference("a", ABSENT, 2).as_json() == {"key": "a", "new": 2}


def test_tensors_are_compared_by_the_root_of_their_mean_squared_difference(tmp_path):
    one, other = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 2.0], [3.0, 7.0]])
    old = weights(
        tmp_path / "a.safetensors", w=one, same=one.clone(), wide=torch.zeros(2), gone=torch.zeros(1)
    )
    new = weights(
        tmp_path / "b.safetensors", w=other, same=one.clone(), wide=torch.zeros(3), more=torch.zeros(())
    )
    assert compared(old, new) == [
        "- gone, (1)",
        "  same, (2, 2)",
        "! w, (2, 2), distance 1.5",
        "! wide, (2) -> (3)",
        "+ more, ()",
    ]


def test_scale_and_threshold_decide_what_is_the_same(tmp_path):
    old = weights(tmp_path / "a.safetensors", w=torch.zeros(4))
    new = weights(tmp_path / "b.safetensors", w=torch.full((4,), 0.5))
    assert compared(old, new, Measure(threshold=0.5)) == ["  w, (4)"]
    assert compared(old, new, Measure(scale=4.0, threshold=1.9)) == ["! w, (4), distance 2"]


def test_a_nan_is_never_the_same(tmp_path):
    old = weights(tmp_path / "a.safetensors", w=torch.zeros(4))
    new = weights(tmp_path / "b.safetensors", w=torch.tensor([0.0, 0.0, 0.0, math.nan]))
    assert compared(old, new, Measure(threshold=math.inf)) == ["! w, (4), distance nan"]


def test_integers_and_bfloat16_are_compared_too(tmp_path):
    tensors = {"ids": torch.arange(3), "half": torch.ones(2, dtype=torch.bfloat16), "none": torch.zeros(0)}
    old, new = (weights(tmp_path / name, **tensors) for name in ("a.safetensors", "b.safetensors"))
    assert sorted(compared(old, new)) == ["  half, (2)", "  ids, (3)", "  none, (0)"]


def test_prefixes_are_taken_off(tmp_path):
    old = weights(tmp_path / "a.safetensors", bert__w=torch.zeros(2), head=torch.zeros(1))
    new = weights(tmp_path / "b.safetensors", encoder__bert__w=torch.zeros(2), head=torch.zeros(1))
    assert compared(old, new, prefixes=("bert.", "encoder.bert.")) == ["  w, (2)", "  head, (1)"]


def test_a_prefix_that_makes_two_names_one_is_refused(tmp_path):
    old = weights(tmp_path / "a.safetensors", bert__w=torch.zeros(2), w=torch.zeros(1))
    with pytest.raises(CheckpointError, match=r"without 'bert\.' two tensors have one name; strip another$"):
        compared(old, old, prefixes=("bert.", ""))


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\x80\x04pickle" * 9)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: not a readable safetensors file \("):
        compared(tmp_path / "a.safetensors", tmp_path / "a.safetensors")


def test_a_run_and_its_archive_are_the_same(trained):
    found = diff(trained.run, trained.archive, Measure())
    assert found.documents == {"config": [], "metrics": [], "environment": []}
    assert (found.vocabulary, {tensor.state for tensor in found.tensors}) == ({}, {"same"})
    assert found.as_text().endswith(
        f"\n\nconfig: the same\n\nmetrics: the same\n\nenvironment: the same\n\nvocabulary: the same\n\n"
        f"weights: the same, all {len(found.tensors)} tensors"
    )


def test_two_runs_are_told_apart_in_every_part(trained, copied):
    edit(copied / "config.json", lambda config: config["trainer"].update(num_epochs=9))
    edit(copied / "metrics.json", lambda metrics: metrics.update(epoch=1.5))
    edit(copied / "environment.json", lambda environment: environment["packages"].update(torch="1.0"))
    (copied / "vocabulary" / "labels.txt").write_text("negative\npositive\nmixed\n")
    found = diff(trained.run, copied, Measure())
    assert {name: [line.key for line in lines] for name, lines in found.documents.items()} == {
        "config": ["trainer.num_epochs"],
        "metrics": ["epoch"],
        "environment": ["packages.torch"],
    }
    assert (
        "\n  trainer.num_epochs: 2 -> 9\n\nmetrics: 1 differ\n  epoch: 1 -> 1.5 (+0.5)\n" in found.as_text()
    )


def test_labels_that_are_new_gone_or_renumbered_are_told(trained, copied):
    old = (copied / "vocabulary" / "labels.txt").read_text().split()
    (copied / "vocabulary" / "labels.txt").write_text(f"mixed\n{old[0]}\n")
    found = diff(trained.run, copied, Measure()).vocabulary["labels"]
    assert found.as_json() == {"added": ["mixed"], "removed": [old[1]], "renumbered": [old[0]]}
    assert str(found) == f"+ mixed; - {old[1]}; other numbers: {old[0]}"


def test_a_folder_of_weights_is_compared_by_its_weights_alone(trained, tmp_path):
    shutil.copy(trained.run / "best" / "model.safetensors", tmp_path)
    found = diff(tmp_path, trained.run, Measure())
    assert (found.documents, found.vocabulary) == ({}, {})
    assert {tensor.state for tensor in found.tensors} == {"same"}


def test_what_is_neither_run_nor_weights_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"not a finished run: .* missing"):
        diff(tmp_path, tmp_path, Measure())
