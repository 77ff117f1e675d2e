import re
import shutil

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import bertx
from bertx.bert.model import BertModel
from bertx.config.construct import plan
from bertx.errors import CheckpointError, ConfigError, DataError
from bertx.runs.preparation import TrainingRequest, prepare
from bertx.training.objectives.objective import Objective
from tests.tiny import config, workplace, write_lines
from tests.training.objectives.passes import assert_same, gradients_of


@pytest.fixture
def student(tmp_path):
    """Another model of the teacher's labels, without dropout, and data."""
    return prepare(TrainingRequest(workplace(tmp_path / "place")))


def built(teacher, student, **settings):
    planned = plan(Objective, {"type": "distillation", "teacher": str(teacher), **settings})
    return planned.build(train=student.splits["train"], device=student.device)


def batch_of(student):
    split = student.splits["train"]
    return split.loader.batch(
        split.dataset, np.arange(6), split.vocabulary, seed=1, epoch=0, number=0, training=True
    )


@pytest.mark.parametrize(("temperature", "alpha"), [(1.0, 1.0), (2.0, 0.5), (4.0, 0.9)])
def test_loss_and_gradients_are_those_of_the_formula(trained, student, temperature, alpha):
    model, inputs = student.model.train(), batch_of(student).inputs
    objective = built(trained.run, student, temperature=temperature, alpha=alpha)
    torch.manual_seed(1)
    output = objective(model, lambda: model(**inputs), lambda output: output["loss"].backward())
    found = {name: tensor.grad for name, tensor in model.named_parameters()}
    taught = bertx.load(trained.run).model(**inputs)["logits"].detach() / temperature
    torch.manual_seed(1)
    learning = model(**inputs)["logits"]
    apart = F.kl_div(
        (learning / temperature).log_softmax(dim=1), taught.softmax(dim=1), reduction="batchmean"
    )
    own = F.cross_entropy(learning, inputs["label"])
    expected = (1 - alpha) * own + alpha * temperature**2 * apart
    torch.testing.assert_close(output["loss"], expected, atol=1e-6, rtol=0)
    assert_same(found, gradients_of(expected, model))


def test_the_teacher_stays_as_it_is_and_counts_nothing(trained, student):
    model, inputs = student.model.train(), batch_of(student).inputs
    objective = built(trained.run, student)
    before = {name: tensor.clone() for name, tensor in objective.teacher.state_dict().items()}
    objective(model, lambda: model(**inputs), lambda output: output["loss"].backward())
    assert all(torch.equal(before[name], tensor) for name, tensor in objective.teacher.state_dict().items())
    assert not objective.teacher.training
    assert np.isnan(objective.teacher.get_metrics()["accuracy"])
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_the_finished_run_does_not_need_the_teacher(trained, tmp_path):
    objective = {"type": "distillation", "teacher": "teacher", "alpha": 1.0}
    path = workplace(tmp_path / "place", config(trainer__objective=objective, trainer__num_epochs=1))
    shutil.copytree(trained.run, tmp_path / "place" / "teacher")
    bertx.train(path, tmp_path / "run", limit=40)
    shutil.rmtree(tmp_path / "place")
    run = bertx.load(tmp_path / "run")
    assert run.predict(["a gripping film"])[0]["label"] in run.vocabulary.labels()
    assert sum(isinstance(module, BertModel) for module in run.model.modules()) == 1


def test_other_labels_are_refused(trained, tmp_path):
    path = workplace(tmp_path / "place")
    write_lines(tmp_path / "place" / "data" / "train.jsonl", {"text": "x", "label": "odd"})
    message = rf"^trainer.objective.teacher: {trained.run} has other labels \(odd in the training data only; "
    with pytest.raises(ConfigError, match=message):
        built(trained.run, prepare(TrainingRequest(path)))


def test_another_tokenizer_is_refused(trained, tmp_path):
    path = workplace(tmp_path / "place")
    vocabulary = (tmp_path / "place" / "encoder" / "vocab.txt").read_text().splitlines()
    shutil.rmtree(tmp_path / "place" / "encoder")
    (tmp_path / "place" / "encoder").mkdir()
    swapped = [*vocabulary[:-2], vocabulary[-1], vocabulary[-2]]
    (tmp_path / "place" / "encoder" / "vocab.txt").write_text("\n".join(swapped) + "\n")
    message = (
        f"trainer.objective.teacher: the tokenizer of {trained.run} is not that of "
        "dataset_reader.token_indexers.bert: ids mean other pieces to it; give both the same pretrained_model"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        built(trained.run, prepare(TrainingRequest(path)))


def test_a_token_indexer_of_another_name_is_refused(trained, tmp_path):
    indexers = {"pieces": config()["dataset_reader"]["token_indexers"]["bert"]}
    made = config(dataset_reader__token_indexers=indexers, model__index="pieces")
    message = (
        r'reads a token indexer "bert", but those of the data are: pieces; name them alike in '
        "dataset_reader.token_indexers"
    )
    with pytest.raises(ConfigError, match=message):
        built(trained.run, prepare(TrainingRequest(workplace(tmp_path / "place", made))))


def test_texts_too_long_for_the_teacher_are_refused(trained, tmp_path):
    made = config(model__bert_model__max_position_embeddings=128)
    made["dataset_reader"]["token_indexers"]["bert"]["max_pieces"] = 128
    path = workplace(tmp_path / "place", made)
    write_lines(
        tmp_path / "place" / "data" / "train.jsonl",
        *({"text": "good " * 100, "label": label} for label in bertx.load(trained.run).vocabulary.labels()),
    )
    with pytest.raises(
        DataError, match=r"^trainer.objective.teacher: train.jsonl: the longest text has 102 "
    ):
        built(trained.run, prepare(TrainingRequest(path)))


def test_another_number_of_classes_is_refused(trained, tmp_path):
    path = workplace(tmp_path / "place", config(model__num_labels=3))
    student = prepare(TrainingRequest(path))
    objective, inputs = built(trained.run, student), batch_of(student).inputs
    message = "the teacher has 2 classes, the model 3; set model.num_labels alike"
    with pytest.raises(ConfigError, match=message):
        objective(student.model, lambda: student.model(**inputs), lambda output: None)


@pytest.mark.parametrize(("setting", "value"), [("temperature", 0), ("alpha", 1.5), ("alpha", -0.1)])
def test_impossible_numbers_are_refused(trained, student, setting, value):
    with pytest.raises(ConfigError, match=rf"^trainer.objective.{setting}: {value}; expected "):
        built(trained.run, student, **{setting: value})


def test_a_missing_teacher_is_told(student):
    with pytest.raises(CheckpointError, match=r"^nowhere: no such run folder or archive"):
        built("nowhere", student)
