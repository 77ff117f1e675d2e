"""`bertx convert`: from every format into folders that other libraries load."""

import os
import tarfile

import pytest
import transformers

from tests.commands import bertx

TENSORFLOW = "uncased_L-2_H-8_A-2"


@pytest.mark.parametrize(
    ("name", "architecture", "count"),
    [
        ("classifier", "BertForSequenceClassification", 41),
        ("classifier.keras", "BertForSequenceClassification", 41),
        (TENSORFLOW, "BertForPreTraining", 46),
        (f"{TENSORFLOW}/bert_model.ckpt.index", "BertForPreTraining", 46),
    ],
)
def test_every_format_becomes_a_folder_of_hugging_face(golden, tmp_path, name, architecture, count):
    done = bertx("convert", golden / name, tmp_path / "new", "--to", "hf")
    assert (done.status, done.out) == (
        0,
        f"{golden / name}: {architecture}, loaded {count}/{count} tensors\n{tmp_path / 'new'}: written\n",
    )
    assert (
        type(getattr(transformers, architecture).from_pretrained(tmp_path / "new")).__name__ == architecture
    )
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "new").tokenize("The fox") == ["the", "fox"]


@pytest.mark.parametrize(("target", "kind"), [("preset", "preset/config.json"), ("one.keras", "one.keras")])
def test_keras_is_written_as_a_preset_or_as_one_file(golden, tmp_path, target, kind):
    assert bertx("convert", golden / TENSORFLOW, tmp_path / target, "--to", "keras").status == 0
    assert (tmp_path / kind).is_file()
    assert bertx("convert", tmp_path / target, tmp_path / "back", "--to", "hf").status == 0


def test_an_archive_of_a_folder_is_a_source(golden, tmp_path):
    bertx("convert", golden / "classifier", tmp_path / "bert-base-cased", "--to", "hf")
    with tarfile.open(tmp_path / "bert-base-cased.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "bert-base-cased", arcname=".")
    done = bertx("convert", tmp_path / "bert-base-cased.tar.gz", tmp_path / "preset", "--to", "keras")
    assert (done.status, "loaded 41/41 tensors" in done.out) == (0, True)


@pytest.mark.parametrize("target", ["there", "there.keras"])
def test_what_is_there_is_not_overwritten(golden, tmp_path, target):
    (tmp_path / target).mkdir()
    (tmp_path / target / "file").write_text("")
    done = bertx("convert", golden / "classifier", tmp_path / target, "--to", "keras")
    assert (done.status, os.listdir(tmp_path / target)) == (2, ["file"])
    assert "is there already; choose another" in done.err


def test_a_damaged_source_is_one_line_and_leaves_nothing(golden, tmp_path):
    source = tmp_path / "source.keras"
    source.write_bytes((golden / "classifier.keras").read_bytes()[:50_000])
    done = bertx("convert", source, tmp_path / "new", "--to", "hf")
    assert (done.status, done.out, os.listdir(tmp_path)) == (4, "", ["source.keras"])
    assert done.err.startswith(f"{source}: not a readable .keras file (")


def test_what_keras_cannot_hold_leaves_nothing(golden, tmp_path):
    bertx("convert", golden / "classifier", tmp_path / "source", "--to", "hf")
    config = (tmp_path / "source" / "config.json").read_text()
    (tmp_path / "source" / "config.json").write_text(config.replace("gelu_new", "silu"))
    done = bertx("convert", tmp_path / "source", tmp_path / "new", "--to", "keras")
    assert (done.status, os.listdir(tmp_path)) == (4, ["source"])
    assert "hidden_act is 'silu'; KerasHub's BERT computes gelu only" in done.err


def test_a_name_that_is_nowhere_is_an_error(tmp_path):
    done = bertx("convert", "kaggle://nowhere", tmp_path / "new", "--to", "hf")
    assert (done.status, "expected kaggle://ORGANIZATION/MODEL" in done.err) == (4, True)
