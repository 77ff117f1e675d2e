import json
import logging

import pytest
import torch

from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.models.bert_for_classification import BertForClassification
from bertx.models.regularizers import L2, RegularizerApplicator
from bertx.training.evaluation import evaluate
from tests.training.tiny import (
    WORDS,
    Recorder,
    make_config,
    make_model,
    make_split,
    make_trainer,
    make_undecided,
    same,
    vocabulary,
    weights,
)

CPU = torch.device("cpu")
CHECKPOINT = ("manifest.json", "model.safetensors", "state.json", "state.safetensors")
SCHEDULE = {"reduce_on_plateau": {}, "cosine_with_warmup": {"num_warmup_steps": 1}}
STILL = {"type": "sgd", "lr": 0.0}


def test_training_lowers_the_loss_and_learns_the_data_by_heart(tmp_path):
    data = [{"text": word, "label": "pos" if number % 3 else "neg"} for number, word in enumerate(WORDS)]
    recorder = Recorder()
    settings = {"num_epochs": 40}
    make_trainer(make_model(), make_split(tmp_path, data), settings, callbacks=[recorder]).train()
    assert recorder.epochs[0]["training_loss"] > 0.5
    assert recorder.epochs[-1]["training_loss"] < 0.1
    assert recorder.epochs[-1]["training_accuracy"] == 1.0


def run_once(train, seed):
    recorder, model = Recorder(), make_model(seed, dropout=0.2)
    make_trainer(model, train, {"num_epochs": 2}, callbacks=[recorder]).train()
    return weights(model), [step.loss for step in recorder.steps]


def test_two_runs_with_one_seed_are_bit_equal_and_with_two_are_not(train):
    (first, losses), (second, again), (other, _) = (run_once(train, seed) for seed in (3, 3, 4))
    assert same(first, second)
    assert losses == again
    assert not same(first, other)


def test_the_training_loss_is_the_mean_over_instances(train):
    metrics = make_trainer(make_model(), train, {"optimizer": STILL}).train()
    found = evaluate(make_model(), train, device=CPU).all
    assert metrics["training_loss"] == pytest.approx(found["loss"], rel=1e-6)
    assert metrics["training_accuracy"] == found["accuracy"]


def test_the_regularizer_is_in_the_training_loss_only(train):
    torch.manual_seed(0)
    penalty = RegularizerApplicator([("classifier.weight", L2(0.5))])
    model = BertForClassification(vocabulary(), make_config(), regularizer=penalty)
    expected = 0.5 * model.classifier.weight.square().sum().item()
    metrics = make_trainer(model, train, {"optimizer": STILL}, validation=train).train()
    assert metrics["training_reg_loss"] == pytest.approx(expected, rel=1e-6)
    difference = metrics["training_loss"] - metrics["validation_loss"]
    assert difference == pytest.approx(expected, rel=1e-4)


def test_the_penalty_pulls_weights_towards_zero(train):
    free, pulled = make_model(), make_model()
    pulled.regularizer = RegularizerApplicator([("classifier.weight", L2(0.5))])
    before = free.classifier.weight.detach().clone()
    for model in (free, pulled):
        split = Split(train.name, train.dataset, SimpleDataLoader(10), train.vocabulary, 1)
        make_trainer(model, split, {"optimizer": {"type": "sgd", "lr": 0.1}}).train()
    difference = pulled.classifier.weight - free.classifier.weight
    torch.testing.assert_close(difference, -0.1 * before, atol=1e-6, rtol=0)


def test_the_best_weights_are_kept_and_loaded_at_the_end(train, contrary, folder):
    recorder, model = Recorder(), make_undecided()
    metrics = make_trainer(
        model, train, {"num_epochs": 6}, validation=contrary, folder=folder, callbacks=[recorder]
    ).train()
    losses = [epoch["validation_loss"] for epoch in recorder.epochs]
    assert losses[0] == min(losses) < losses[-1]
    assert metrics["best_epoch"] == 0
    assert metrics["best_validation_loss"] == losses[0]
    assert same(weights(model), recorder.weights[0])


def test_without_validation_data_the_last_epoch_is_the_best(train, folder):
    recorder, model = Recorder(), make_model()
    settings = {"num_epochs": 3}
    metrics = make_trainer(model, train, settings, folder=folder, callbacks=[recorder]).train()
    assert metrics["best_epoch"] == 2
    assert same(weights(model), recorder.weights[2])


def test_patience_stops_after_epochs_without_improvement(train, contrary):
    recorder = Recorder()
    settings = {"num_epochs": 9, "patience": 2}
    make_trainer(make_undecided(), train, settings, validation=contrary, callbacks=[recorder]).train()
    assert [epoch["epoch"] for epoch in recorder.epochs] == [0, 1, 2]


def test_patience_without_validation_data_is_warned_about(train, caplog):
    with caplog.at_level(logging.WARNING):
        make_trainer(make_model(), train, {"patience": 2})
    assert caplog.messages == ["trainer.patience: has no effect without validation data"]


@pytest.mark.parametrize(("name", "count"), [("reduce_on_plateau", 1), ("cosine_with_warmup", 0)])
def test_a_schedule_that_waits_for_validations_in_vain_is_warned_about(train, caplog, name, count):
    with caplog.at_level(logging.WARNING):
        make_trainer(make_model(), train, {"learning_rate_scheduler": {"type": name, **SCHEDULE[name]}})
    message = "trainer.learning_rate_scheduler: has no effect without validation data"
    assert caplog.messages == [message] * count


def test_every_epoch_has_a_file_with_the_keys_of_allennlp(train, contrary, folder):
    settings = {"num_epochs": 2}
    returned = make_trainer(make_undecided(), train, settings, validation=contrary, folder=folder).train()
    first, last = (json.loads((folder / f"metrics_epoch_{epoch}.json").read_text()) for epoch in (0, 1))
    assert list(first) == [
        *("best_epoch", "epoch", "training_duration", "training_accuracy", "training_loss"),
        *("validation_accuracy", "validation_loss", "best_validation_accuracy", "best_validation_loss"),
    ]
    assert last == returned
    assert (last["best_epoch"], last["epoch"], last["training_duration"][:2]) == (0, 1, "0:")


def test_nothing_but_finished_files_is_left(train, contrary, folder):
    make_trainer(make_model(), train, {"num_epochs": 2}, validation=contrary, folder=folder).train()
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == [
        "best/model.safetensors",
        *(f"checkpoints/step-{step:08d}/{name}" for step in (3, 6) for name in CHECKPOINT),
        "metrics.jsonl",
        "metrics_epoch_0.json",
        "metrics_epoch_1.json",
    ]


def test_the_rate_follows_the_schedule_over_all_epochs(train):
    recorder = Recorder()
    settings = {
        "num_epochs": 2,
        "optimizer": {"type": "sgd", "lr": 0.4},
        "learning_rate_scheduler": {"type": "linear_with_warmup", "warmup_steps": 2},
    }
    make_trainer(make_model(), train, settings, callbacks=[recorder]).train()
    assert [step.lr for step in recorder.steps] == pytest.approx([0.0, 0.2, 0.4, 0.3, 0.2, 0.1])


def test_steps_are_reported_with_their_instances(train):
    recorder = Recorder()
    settings = {"num_epochs": 2, "num_gradient_accumulation_steps": 2}
    trainer = make_trainer(make_model(), train, settings, callbacks=[recorder])
    trainer.train()
    found = [(step.step, step.epoch, step.num_instances) for step in recorder.steps]
    assert found == [(1, 0, 8), (2, 0, 2), (3, 1, 8), (4, 1, 2)]
    assert trainer.num_steps == 4


def test_callbacks_are_told_in_their_order(train, folder):
    told: list[str] = []
    callbacks = [Recorder("a ", told), Recorder("b ", told)]
    make_trainer(make_model(), train, {}, folder=folder, callbacks=callbacks).train()
    events = ["start", "step 1", "step 2", "step 3", "epoch 0", "end"]
    assert told == [f"{name} {event}" for event in events for name in ("a", "b")]


def test_a_frozen_group_stays_as_it_is(train):
    model = make_model()
    before = weights(model)
    frozen = [[["^bert"], {"requires_grad": False}]]
    settings = {"optimizer": {"type": "adam", "lr": 0.1, "parameter_groups": frozen}, "grad_norm": 1.0}
    trainer = make_trainer(model, train, settings)
    trainer.train()
    changed = [name for name, value in weights(model).items() if not torch.equal(value, before[name])]
    assert changed == ["classifier.weight", "classifier.bias"]
    assert len(trainer.parameters) == 2


def test_bf16_trains_close_to_fp32(train):
    full, half = make_model(), make_model()
    settings = {"num_epochs": 3}
    expected = make_trainer(full, train, settings).train()
    found = make_trainer(half, train, {**settings, "precision": "bf16"}).train()
    assert found["training_loss"] == pytest.approx(expected["training_loss"], abs=0.05)
    assert found["training_loss"] != expected["training_loss"]
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float32}


def test_the_model_is_in_training_mode_in_every_epoch(train):
    modes = []

    class Watcher(Recorder):
        def on_step(self, context, step):
            modes.append(context.model.training)

    trainer = make_trainer(make_model(), train, {"num_epochs": 2}, validation=train, callbacks=[Watcher()])
    trainer.model.eval()
    trainer.train()
    assert modes == [True] * 6
