"""What happens to a training whose numbers fail for a while, or for good."""

import json
import math

import pytest
import torch

from bertx.errors import TrainingError
from bertx.models.regularizers import L2, RegularizerApplicator
from bertx.training.steps import NotFinite
from tests.training.fragile import Fragile, split_of, steps_of
from tests.training.tiny import (
    Recorder,
    batch_of,
    make_trainer,
    records,
    same,
    weights,
)

BAD_STEP = {"num_gradient_accumulation_steps": 2, "num_epochs": 2}  # 6 steps an epoch


class Watcher(Recorder):
    """Notes weights and the optimizer's state after every step."""

    trainer = None

    def on_step(self, context, step):
        super().on_step(context, step)
        states = self.trainer.optimizer.state_dict()["state"]
        moments = {
            f"{number}.{name}": value.clone()
            for number, state in states.items()
            for name, value in state.items()
        }
        self.weights.append(weights(context.model) | moments)


def trained(tmp_path, model, settings, folder=None):
    """Trains; returns what was seen."""
    watcher = Watcher()
    watcher.trainer = make_trainer(model, split_of(tmp_path), settings, folder=folder, callbacks=[watcher])
    watcher.trainer.train()
    return watcher


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_a_step_with_one_bad_batch_changes_nothing_and_the_next_goes_on(tmp_path, how):
    settings = BAD_STEP | {"moving_average": {"type": "exponential", "decay": 0.5}}
    watcher = trained(tmp_path, Fragile(passes=[10], how=how), settings)
    assert [step.step for step in watcher.steps if step.skipped] == [5]
    assert same(watcher.weights[4], watcher.weights[3])
    assert not same(watcher.weights[5], watcher.weights[4])
    assert len(watcher.steps) == 12


def test_a_skipped_step_is_told_in_the_log_of_metrics(tmp_path, folder):
    watcher = trained(tmp_path, Fragile(passes=[10]), BAD_STEP, folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (bad,) = [line for line in lines if line.get("skipped")]
    assert (bad["step"], bad["loss"], bad["grad_norm"]) == (5, None, None)
    assert bad["skipped"].startswith("step 5: the loss is nan (batch ids: r")
    assert math.isnan(watcher.steps[4].loss)
    assert [line.get("training_skipped_steps") for line in lines if line["kind"] == "epoch"] == [1, None]


def test_a_bad_step_does_not_spoil_the_loss_of_its_epoch(tmp_path):
    watcher = trained(tmp_path, Fragile(passes=[10]), BAD_STEP)
    good = [step.loss for step in watcher.steps[:6] if not step.skipped]
    assert watcher.epochs[0]["training_loss"] == pytest.approx(sum(good) / 5, rel=1e-6)


def test_three_bad_steps_in_a_row_end_it_and_the_batch_is_written(tmp_path, folder):
    model = Fragile(passes=range(10, 100))
    with pytest.raises(TrainingError, match=r"^step 7: the loss is nan \(batch ids: ") as found:
        trained(tmp_path, model, BAD_STEP, folder)
    rows = [json.loads(line) for line in (folder / "bad_batch.jsonl").read_text().splitlines()]
    named = str(found.value).partition("batch ids: ")[2].partition(")")[0].split(", ")
    assert found.value.exit_status == 5
    assert [row["id"] for row in rows] == named
    assert sorted(rows[0]) == ["id", "label", "row", "tokens.bert"]
    assert found.value.__notes__ == [f"{folder / 'bad_batch.jsonl'}: the instances of this step"]


def test_the_written_batch_is_that_of_the_data(tmp_path, folder):
    with pytest.raises(TrainingError, match="step 1"):
        trained(tmp_path, Fragile(passes=[1]), BAD_STEP | {"max_skipped_steps": 1}, folder)
    known = {record["id"]: record for record in records(24)}
    for line in (folder / "bad_batch.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["label"] == known[row["id"]]["label"]
        assert row["tokens.bert"] == f"[CLS] {known[row['id']]['text']} [SEP]"
        assert row["row"] == int(row["id"].removeprefix("r"))


def test_bad_steps_with_a_good_one_between_do_not_end_it(tmp_path):
    watcher = trained(tmp_path, Fragile(passes=[2, 4, 8, 10]), BAD_STEP)
    assert [step.step for step in watcher.steps if step.skipped] == [1, 2, 4, 5]
    assert len(watcher.steps) == 12


def test_bad_steps_in_a_row_are_counted_across_epochs(tmp_path):
    with pytest.raises(TrainingError, match=r"^step 7: "):
        trained(tmp_path, Fragile(passes=[10, 12, 14]), BAD_STEP)


def test_a_validation_that_is_nan_is_never_the_best(tmp_path, folder):
    class Blinds(Recorder):
        def on_step(self, context, step):
            context.model.blind = step.epoch != 1  # all but the second validation

    train, blinds = split_of(tmp_path), Blinds()
    settings = {"num_epochs": 3, "optimizer": {"type": "adam", "lr": 0.001}}
    trainer = make_trainer(Fragile(), train, settings, validation=train, folder=folder, callbacks=[blinds])
    metrics = trainer.train()
    assert metrics["best_epoch"] == 1
    assert math.isnan(metrics["validation_loss"])
    assert same(weights(trainer.model), blinds.weights[1])


@pytest.mark.parametrize("batch_size", [4, 6, 3])
def test_accumulated_batches_train_as_the_large_one_to_the_partial_last_window(tmp_path, batch_size):
    found = []
    for size in (12, batch_size):
        model, train = Fragile(), split_of(tmp_path, count=13, batch_size=size)
        recorder = Recorder()
        settings = {
            "optimizer": {"type": "sgd", "lr": 0.5},
            "num_gradient_accumulation_steps": 12 // size,
        }
        make_trainer(model, train, settings, callbacks=[recorder]).train()
        found.append((weights(model), [step.loss for step in recorder.steps]))
    torch.testing.assert_close(found[1][0], found[0][0], atol=1e-6, rtol=0)
    assert found[1][1] == pytest.approx(found[0][1], rel=1e-6)
    assert len(found[0][1]) == 2


def fp16_trainer(tmp_path, scale, settings, callbacks=(), count=24):
    split = split_of(tmp_path, count=count)
    trainer = make_trainer(Fragile(), split, {"precision": "fp16", **settings}, callbacks=callbacks)
    trainer.loop.steps.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=8)
    return trainer


def test_an_overflow_of_fp16_skips_the_step_and_lowers_the_scale(tmp_path):
    watcher = Watcher()
    trainer = fp16_trainer(tmp_path, 2.0**33, {"num_epochs": 3}, [watcher])
    watcher.trainer = trainer
    trainer.train()
    skipped = [step.step for step in watcher.steps if step.skipped]
    assert skipped[:5] == [1, 2, 3, 4, 5]  # more than are allowed of other failures
    assert same(watcher.weights[3], watcher.weights[0])
    assert not same(watcher.weights[-1], watcher.weights[0])
    assert trainer.loop.steps.scaler.get_scale() < 2.0**28
    assert math.isfinite(watcher.steps[0].loss)


def test_an_epoch_in_which_the_scale_is_still_sought_does_not_end_it(tmp_path):
    recorder = Recorder()
    fp16_trainer(tmp_path, 2.0**33, {"num_epochs": 30}, [recorder], count=2).train()
    assert recorder.epochs[0]["training_skipped_steps"] == 1
    assert math.isfinite(recorder.epochs[-1]["training_loss"])


def test_losses_that_stay_nan_end_fp16_as_any_other(tmp_path):
    trainer = make_trainer(Fragile(passes=range(100)), split_of(tmp_path), {"precision": "fp16"})
    with pytest.raises(TrainingError, match=r"^step 3: the loss is nan"):
        trainer.train()


def test_an_infinite_penalty_is_not_blamed_on_the_scale_of_fp16(tmp_path):
    split = split_of(tmp_path)
    model = Fragile(regularizer=RegularizerApplicator([("classifier", L2(1e38))]))
    torch.nn.init.constant_(model.classifier.bias, 100.0)
    with pytest.raises(NotFinite, match="the regularization penalty is inf") as found:
        steps_of(model, split, precision="fp16").make(1, [batch_of(split, range(4))])
    assert not found.value.is_overflow


@pytest.mark.parametrize("passes", [[], [1]])  # with a good loss, and with one that is nan
def test_a_rehearsal_leaves_the_scale_of_fp16_alone(tmp_path, passes):
    split = split_of(tmp_path)
    steps = steps_of(Fragile(passes=passes), split, lr=0.1, precision="fp16")
    steps.rehearse(batch_of(split, range(4)))
    assert steps.scaler.get_scale() == 65536.0
    sums, _ = steps.make(1, [batch_of(split, range(4))])
    assert sums.num_targets == 4


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_fewer_bits_learn_as_well(tmp_path, precision):
    metrics = {}
    for name in ("fp32", precision):
        settings = {"precision": name, "num_epochs": 12, "optimizer": {"type": "adamw", "lr": 0.003}}
        metrics[name] = make_trainer(Fragile(), split_of(tmp_path, count=48, batch_size=4), settings).train()
    assert metrics["fp32"]["training_accuracy"] > 0.9
    assert metrics[precision]["training_accuracy"] == pytest.approx(
        metrics["fp32"]["training_accuracy"], abs=0.05
    )
    assert metrics[precision]["training_loss"] == pytest.approx(metrics["fp32"]["training_loss"], abs=0.05)


@pytest.mark.parametrize("bad_pass", [1, 3])  # at the start of the first line, and half-way
def test_a_failure_along_a_line_search_leaves_the_weights_as_they_were(tmp_path, bad_pass):
    split = split_of(tmp_path)
    model = Fragile(passes=[bad_pass])
    before, steps = weights(model), steps_of(model, split, lr=0.1, optimizer=torch.optim.LBFGS)
    with pytest.raises(NotFinite, match="the loss is nan"):
        steps.make(1, [batch_of(split, range(8))])
    assert same(weights(model), before)
    steps.make(2, [batch_of(split, range(8))])
    assert not same(weights(model), before)


def test_a_line_search_works_in_fp16(tmp_path):
    split, model = split_of(tmp_path), Fragile()
    steps = steps_of(model, split, lr=0.1, precision="fp16", optimizer=torch.optim.LBFGS)
    losses = [steps.make(number, [batch_of(split, range(8))])[0].mean_loss for number in (1, 2, 3)]
    assert losses[2] < losses[1] < losses[0]
