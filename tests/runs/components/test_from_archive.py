import json
import re
import shutil

import pytest
import torch

import bertx
from bertx.config.construct import filled
from bertx.errors import CheckpointError, ConfigError
from bertx.runs.preparation import TrainingRequest, prepare
from tests.tiny import FIXTURES, REVIEWS, config, workplace, write_lines


def starting_from(archive, **changes):
    return config(model={"type": "from_archive", "archive_file": str(archive)}, **changes)


def same_weights(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("kind", ["run", "archive"])
def test_training_starts_with_the_trained_model(trained, tmp_path, kind):
    archive = getattr(trained, kind)
    prepared = prepare(TrainingRequest(workplace(tmp_path / "place", starting_from(archive))))
    assert same_weights(prepared.model, bertx.load(trained.run).model)


def test_the_new_run_does_not_need_the_archive(trained, tmp_path):
    path = workplace(tmp_path / "place", starting_from("old", trainer__num_epochs=1))
    shutil.copytree(trained.run, tmp_path / "place" / "old")
    metrics = bertx.train(path, tmp_path / "new", limit=40)
    shutil.rmtree(tmp_path / "place")
    run = bertx.load(tmp_path / "new")
    assert not same_weights(run.model, bertx.load(trained.run).model)
    assert run.evaluate(REVIEWS / "test.jsonl").all.keys() == {"accuracy", "loss"}
    assert metrics["best_validation_accuracy"] > 0.5
    assert [set(row) for row in run.predict(["a gripping film"])] == [{"label", "probs", "logits"}]


def test_the_config_of_the_new_run_names_the_archive_and_describes_the_model(trained, tmp_path):
    prepared = prepare(TrainingRequest(workplace(tmp_path / "place", starting_from(trained.run))))
    model = filled(prepared.plan)["model"]
    assert (model["type"], model["archive_file"]) == ("from_archive", str(trained.run))
    assert model["model"] == json.loads((trained.run / "config.json").read_text())["model"]


def test_encoders_keep_their_names_through_a_chain_of_archives(tmp_path):
    first = config(model__bert_model="encoder", trainer__num_epochs=1)
    path = workplace(tmp_path / "place", first)
    shutil.copytree(FIXTURES / "bert-tiny", tmp_path / "place" / "encoder", dirs_exist_ok=True)
    bertx.train(path, tmp_path / "place" / "runs" / "1", limit=8)
    for number in (2, 3):
        path.write_text(json.dumps(starting_from(f"runs/{number - 1}", trainer__num_epochs=1)))
        bertx.train(path, tmp_path / "place" / "runs" / str(number), limit=8)
    shutil.move(tmp_path / "place" / "runs" / "3", tmp_path / "last")
    shutil.rmtree(tmp_path / "place")
    run = bertx.load(tmp_path / "last")
    assert run.config["model"]["model"]["bert_model"] == "encoder"
    assert run.model.encoder_config.hidden_size == 256


def test_other_labels_are_refused_with_the_difference(trained, tmp_path):
    path = workplace(tmp_path / "place", starting_from(trained.run))
    labels = ("positive", "mixed")
    write_lines(
        tmp_path / "place" / "data" / "train.jsonl", *({"text": "x", "label": name} for name in labels)
    )
    message = (
        f"model.archive_file: {trained.run} has other labels (mixed in the training data only; negative in "
        "the run only); train on the same labels"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}\n"):
        prepare(TrainingRequest(path))


def test_another_order_of_labels_is_refused_until_the_vocabulary_is_the_runs(trained, tmp_path):
    path = workplace(tmp_path / "place", starting_from(trained.run))
    labels = bertx.load(trained.run).vocabulary.labels()
    rows = [{"text": "x", "label": name} for name in (labels[1], labels[1], labels[0])]
    write_lines(tmp_path / "place" / "data" / "train.jsonl", *rows)
    vocabulary = {"type": "from_files", "directory": f"{trained.run}/vocabulary"}
    message = (
        rf"the same ones in another order, {labels[1]}, {labels[0]} and {labels[0]}, {labels[1]}\); "
        rf'set vocabulary: {{type: "from_files", directory: "{vocabulary["directory"]}"}} to number them '
    )
    with pytest.raises(ConfigError, match=message):
        prepare(TrainingRequest(path))
    prepare(TrainingRequest(path, overrides={"vocabulary": vocabulary}))


def test_balanced_weights_are_those_of_the_new_data(trained, tmp_path):
    changes = {"model__loss": {"class_weights": "balanced"}, "trainer__num_epochs": 1}
    path = workplace(tmp_path / "place", config(**changes))
    bertx.train(path, tmp_path / "place" / "old", limit=20)
    vocabulary = {"type": "from_files", "directory": "old/vocabulary"}
    path.write_text(json.dumps(starting_from("old", vocabulary=vocabulary)))
    labels = bertx.load(tmp_path / "place" / "old").vocabulary.labels()
    rows = [{"text": "x", "label": name} for name in (labels[0], labels[1], labels[1], labels[1])]
    write_lines(tmp_path / "place" / "data" / "train.jsonl", *rows)
    prepared = prepare(TrainingRequest(path))
    assert prepared.model.loss.balanced.tolist() == pytest.approx([2, 2 / 3])


def test_a_missing_archive_is_told(tmp_path):
    with pytest.raises(CheckpointError, match=r"^nowhere: no such run folder or archive"):
        prepare(TrainingRequest(workplace(tmp_path / "place", starting_from("nowhere"))))
