import math
import re

import pytest
import torch

from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.errors import ConfigError, DataError, TrainingError
from bertx.metrics.metric import Metric
from bertx.models.bert_for_classification import BertForClassification
from bertx.training.weights import load_weights
from tests.training.tiny import (
    Recorder,
    make_config,
    make_model,
    make_split,
    make_trainer,
    make_undecided,
    records,
    same,
    vocabulary,
    weights,
)

AT_ONCE = {"max_skipped_steps": 1}


def spoil(model):
    """Makes the next loss NaN."""
    with torch.no_grad():
        model.classifier.bias[0] = math.nan


class Spoiler(Recorder):
    """Makes the second epoch fail."""

    def on_epoch(self, context, metrics):
        super().on_epoch(context, metrics)
        spoil(context.model)


def test_a_nan_loss_stops_with_step_ids_and_rate_and_writes_the_batch(train, folder):
    model, recorder = make_model(), Recorder()
    spoil(model)
    train = Split(train.name, train.dataset, SimpleDataLoader(4, shuffle=False), train.vocabulary, 1)
    message = (
        "step 1: the loss is nan (batch ids: r0, r1, r2, r3); lr was 0.01. "
        "Lower trainer.optimizer.lr or set trainer.grad_norm\n"
        f"{folder / 'bad_batch.jsonl'}: the instances of this step"
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
        make_trainer(model, train, AT_ONCE, folder=folder, callbacks=[recorder]).train()
    assert [path.name for path in folder.iterdir()] == ["bad_batch.jsonl"]
    assert recorder.told == ["start", "end"]


def test_a_failure_in_the_second_epoch_leaves_the_first_whole(train, contrary, folder):
    spoiler, model = Spoiler(), make_undecided()
    trainer = make_trainer(
        model, train, {"num_epochs": 3, **AT_ONCE}, validation=contrary, folder=folder, callbacks=[spoiler]
    )
    with pytest.raises(TrainingError, match=r"^step 4: the loss is nan "):
        trainer.train()
    load_weights(model, folder / "best" / "model.safetensors")
    assert same(weights(model), spoiler.weights[0])
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["bad_batch.jsonl", "best", "checkpoints", "metrics.jsonl", "metrics_epoch_0.json"]


def test_an_infinite_gradient_stops_before_the_weights_change(train):
    model = make_model()
    model.classifier.bias.register_hook(lambda gradient: gradient + math.inf)
    train = Split(train.name, train.dataset, SimpleDataLoader(25, shuffle=False), train.vocabulary, 1)
    before = weights(model)
    message = (
        "step 1: the gradient norm is inf (batch ids: r0, r1, r2, r3, r4, r5, r6, r7, r8, r9); lr was 0.01. "
        "Lower trainer.optimizer.lr"
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
        make_trainer(model, train, {"grad_norm": 1.0, **AT_ONCE}).train()
    assert same(weights(model), before)


class Undefined(Metric):
    """A metric that is never a number."""

    def __call__(self, logits, labels):
        pass

    def get_metric(self, reset=False):
        return {"undefined": math.nan}

    def merge(self, other):
        pass

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def test_a_validation_metric_that_is_never_a_number_has_no_best_epoch(train, folder, caplog):
    model = BertForClassification(vocabulary(), make_config(), metrics={"odd": Undefined()})
    settings = {"validation_metric": "+odd"}
    message = (
        "train.jsonl: odd was nan after every epoch, so none is the best. "
        "Lower trainer.optimizer.lr or choose another trainer.validation_metric"
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
        make_trainer(model, train, settings, validation=train, folder=folder).train()
    assert "epoch 1: the validation odd is nan, which is never the best" in caplog.messages
    assert not (folder / "best").exists()


def test_validation_data_without_known_labels_cannot_choose_an_epoch(train, tmp_path):
    unknown = [{**record, "label": "odd"} for record in records(3)]
    validation = make_split(tmp_path, unknown, name="dev.jsonl")
    message = (
        "dev.jsonl: no loss can be computed, so trainer.validation_metric cannot choose an epoch; "
        "check that the data have labels that occur in training"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        make_trainer(make_model(), train, {}, validation=validation).train()


def test_an_unknown_validation_metric_is_refused_before_training(train):
    message = (
        'trainer.validation_metric: the model reports no "acuracy"; it reports: accuracy, loss\n'
        "while building gradient_descent"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make_trainer(make_model(), train, {"validation_metric": "+acuracy"}, validation=train)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_epochs": 0}, "num_epochs: 0; expected at least 1"),
        ({"num_gradient_accumulation_steps": 0}, "num_gradient_accumulation_steps: 0; expected at least 1"),
        ({"grad_norm": 0.0}, "grad_norm: 0.0; expected a number above 0, or null for no limit"),
    ],
)
def test_numbers_out_of_range_are_refused(train, settings, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.{message}\n"):
        make_trainer(make_model(), train, settings)
