import hashlib
import json
import re

import pytest

from tests.commands import bertx
from tests.tiny import REVIEWS, config, workplace

OWN_COMPONENTS = '''
from bertx import DatasetReader, Instance, LabelField, Model, TextField
from bertx.data.files import open_lines
from bertx.models.bert_for_classification import BertForClassification


@DatasetReader.register("stars")
class StarsReader(DatasetReader):
    """Reads `text|label`."""

    label_key = "label"

    def records(self, path):
        for number, line in open_lines(path):
            text, _, label = line.rpartition("|")
            yield f"{path.name}:{number}", {"text": text, "label": label}

    def text_to_instance(self, record):
        fields = {"tokens": TextField(record["text"])}
        if "label" in record:
            fields["label"] = LabelField(record["label"])
        return Instance(fields)


@Model.register("my_classifier")
class MyClassifier(BertForClassification):
    """Is the usual one under another name."""
'''


@pytest.fixture
def place(tmp_path):
    return workplace(tmp_path / "place")


PARTS = ("manifest.json", "model.safetensors", "state.json", "state.safetensors")


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_run_folder_has_exactly_these_files(trained):
    checkpoints = [f"checkpoints/step-{step:08d}" for step in (127, 254)]
    assert files_of(trained.run) == [
        "best/model.safetensors",
        *(f"{checkpoint}/{name}" for checkpoint in checkpoints for name in PARTS),
        "config.json",
        "config.jsonnet",
        "encoder/config.json",
        "encoder/sources.json",
        "encoder/special_tokens_map.json",
        "encoder/tokenizer.json",
        "encoder/tokenizer_config.json",
        "encoder/vocab.txt",
        "environment.json",
        "metrics.json",
        "metrics.jsonl",
        "metrics_epoch_0.json",
        "metrics_epoch_1.json",
        "model.tar.gz",
        "out.log",
        "vocabulary/labels.txt",
        "vocabulary/non_padded_namespaces.txt",
    ]


def test_metrics_are_printed_and_have_the_keys_of_allennlp(trained):
    assert trained.train.json == json.loads((trained.run / "metrics.json").read_text())
    assert sorted(trained.train.json) == [
        "best_epoch",
        "best_validation_accuracy",
        "best_validation_loss",
        "epoch",
        "test_accuracy",
        "test_loss",
        "training_accuracy",
        "training_duration",
        "training_loss",
        "validation_accuracy",
        "validation_loss",
    ]


def test_the_resolved_config_has_the_defaults(trained):
    resolved = json.loads((trained.run / "config.json").read_text())
    assert resolved["trainer"]["type"] == "gradient_descent"
    assert resolved["trainer"]["num_gradient_accumulation_steps"] == 1
    assert resolved["model"]["label_namespace"] == "labels"
    assert json.loads((trained.run / "config.jsonnet").read_text()) == config(random_seed=2)


def test_the_environment_names_versions_seeds_and_the_contents_of_data(trained):
    environment = json.loads((trained.run / "environment.json").read_text())
    train = (REVIEWS / "train.jsonl").read_bytes()
    assert environment["format_version"] == 1
    assert environment["packages"]["torch"].startswith("2.")
    assert environment["seeds"] == {"random_seed": 2, "numpy_seed": 2, "pytorch_seed": 2}
    (file,) = environment["data"]["train"]["files"]
    assert file["sha256"] == hashlib.sha256(train).hexdigest()
    assert (file["bytes"], environment["data"]["train"]["instances"]) == (len(train), 2028)


def test_the_log_file_tells_the_whole_training(trained):
    log = (trained.run / "out.log").read_text()
    assert "encoded 2,028 instances" in log  # from before the folder existed
    assert "epoch 2 of 2" in log
    assert "Traceback" not in log


def test_one_seed_gives_equal_weights_twice(place, tmp_path):
    for name in ("a", "b"):
        assert bertx("train", place, "-s", tmp_path / name, "--limit", 40).status == 0
    weights = [(tmp_path / name / "best" / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]


def test_another_seed_gives_other_weights(place, tmp_path):
    for name in (1, 2):
        bertx("train", place, "-s", tmp_path / str(name), "--limit", 40, "-o", f"random_seed={name}")
    weights = [(tmp_path / str(name) / "best" / "model.safetensors").read_bytes() for name in (1, 2)]
    assert weights[0] != weights[1]


def test_limit_overrides_and_ext_vars_take_effect(place, tmp_path):
    text = place.read_text().replace('"num_epochs": 2', '"num_epochs": std.parseInt(std.extVar("EPOCHS"))')
    place.write_text(text)
    options = ("--limit", 24, "--ext-var", "EPOCHS=3", "-o", "random_seed=7", "-o", "~test_data_path")
    done = bertx("train", place, "-s", tmp_path / "run", *options, "-o", "evaluate_on_test=false")
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert done.json["epoch"] == 2
    assert environment["seeds"]["random_seed"] == 7
    assert {name: split["instances"] for name, split in environment["data"].items()} == {
        "train": 24,
        "validation": 24,
    }


def test_an_existing_folder_is_left_as_it_is(place, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("work of a week")
    done = bertx("train", place, "-s", tmp_path / "run")
    assert (done.status, done.out) == (2, "")
    assert re.search("run: exists and is not empty; .* --force", done.err)
    assert files_of(tmp_path / "run") == ["precious"]


def test_force_moves_an_existing_folder_aside(place, tmp_path):
    for name in ("run", "run.old-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_text(name)
    assert bertx("train", place, "-s", tmp_path / "run", "--force", "--limit", 16).status == 0
    assert (tmp_path / "run.old-1" / "precious").read_text() == "run.old-1"
    assert (tmp_path / "run.old-2" / "precious").read_text() == "run"
    assert (tmp_path / "run" / "metrics.json").exists()


def test_a_mistake_leaves_no_folder_and_force_moves_nothing(place, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "precious").touch()
    wrong = ("-o", "train_data_path=data/trian.jsonl")
    assert bertx("train", place, "-s", tmp_path / "new", *wrong).status == 4
    assert bertx("train", place, "-s", tmp_path / "old", "--force", *wrong).status == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "place"]


def test_a_missing_folder_option_is_told(place):
    done = bertx("train", place)
    assert (done.status, done.err) == (
        2,
        "bertx train: -s DIR is missing; it names the run folder to write\n",
    )


def test_an_unknown_device_is_told(place, tmp_path):
    done = bertx("train", place, "-s", tmp_path / "run", "--device", "nonsense")
    assert done.status == 2
    assert re.search(r"--device nonsense: not usable here \(.*\); try cpu", done.err)


def test_a_loss_that_is_nan_has_status_five_and_is_in_the_log(place, tmp_path):
    done = bertx("train", place, "-s", tmp_path / "run", "-o", "trainer.optimizer.lr=1e30", "--limit", 64)
    assert done.status == 5
    assert re.search(r"step \d+: the loss is nan \(batch ids: .*lr was 1e\+30", done.err)
    assert "stopped by" in (tmp_path / "run" / "out.log").read_text()


def test_components_of_the_users_own_train_and_predict(tmp_path, monkeypatch, registries):
    own = config(dataset_reader__type="stars", model__type="my_classifier", trainer__num_epochs=1)
    place = workplace(tmp_path / "place", own)
    for name in ("train", "dev", "test"):
        (tmp_path / f"place/data/{name}.jsonl").write_text("good|yes\nbad|no\n" * 8)
    (tmp_path / "mine.py").write_text(OWN_COMPONENTS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('{"text": "good", "label": "never seen"}\n')
    assert bertx("train", place, "-s", "run", "--include-package", "mine.py").status == 0
    found = bertx("predict", "run", "in.jsonl", "--include-package", "mine.py").rows
    assert found[0]["label"] in ("yes", "no")
    assert json.loads((tmp_path / "run/environment.json").read_text())["include_packages"] == ["mine.py"]


def test_dry_run_prints_what_training_would_take(place, tmp_path):
    done = bertx("train", place, "-s", tmp_path / "run", "--dry-run")
    assert done.status == 0
    assert "steps: 254 optimizer steps in at most 2 epochs" in done.out
    assert not (tmp_path / "run").exists()


def test_file_friendly_logging_is_accepted(place, tmp_path):
    done = bertx("train", place, "-s", tmp_path / "run", "--limit", 16, "--file-friendly-logging")
    assert done.status == 0
    assert "\r" not in done.err
