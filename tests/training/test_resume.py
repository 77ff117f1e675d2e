"""A training that is stopped and goes on ends bit-equal to one that was not."""

import json
from collections.abc import Mapping
from itertools import pairwise

import pytest
import torch

from bertx.bert.lora import Lora
from bertx.data.batch_samplers import BucketBatchSampler
from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.errors import Preempted
from bertx.models.bert_for_classification import BertForClassification
from bertx.training.callbacks.trainer_callback import TrainerCallback
from bertx.training.checkpoints.folder import read_checkpoint
from bertx.training.checkpoints.states import pack
from tests.training.tiny import make_config, make_split, make_trainer, records, same, vocabulary, weights

NUM_ROWS, BATCH = 39, 4  # 10 batches an epoch, the last of 3 rows
ADAM = {"type": "adamw", "lr": 0.01, "weight_decay": 0.1}
LINEAR = {"type": "linear_with_warmup", "warmup_steps": 0.2}
STOPS = (1, 7, 9, 10, 11, 20, 29)  # within epochs, and at their ends
SETTINGS: dict[str, dict[str, object]] = {
    "plain": {},
    "accumulation": {"num_gradient_accumulation_steps": 3, "grad_norm": 1.0, "num_epochs": 8},
    "cosine": {"learning_rate_scheduler": {"type": "cosine_with_warmup", "num_warmup_steps": 3}},
    "plateau": {
        "learning_rate_scheduler": {"type": "reduce_on_plateau", "patience": 0, "factor": 0.5},
        "validate_every": 3,
    },
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "moving average": {"moving_average": {"type": "exponential", "decay": 0.9}},
    "swa": {"moving_average": {"type": "stochastic_weight_average", "start": 0.3, "every": 2}},
    "unfreezing": {"gradual_unfreezing": {}},
    "sgd": {"optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.9}},
    "validation within epochs": {"validate_every": 0.3, "patience": 100},
}


class StopsAfter(TrainerCallback):
    """Asks for a stop, as a signal would, after a step."""

    reads_weights = False  # training takes all shortcuts

    def __init__(self, step: int) -> None:
        self.step, self.loop = step, None

    def on_step(self, context, step):
        if step.step == self.step:
            self.loop.stop.signal = 15


def split_of(folder, bucketing, workers):
    sampler = BucketBatchSampler(BATCH) if bucketing else None
    loader = SimpleDataLoader(None if bucketing else BATCH, batch_sampler=sampler, num_workers=workers)
    split = make_split(folder, records(NUM_ROWS))
    return Split(split.name, split.dataset, loader, split.vocabulary, 5)


class Case:
    """One setting, trained in one go or in several."""

    def __init__(
        self, folder, settings: Mapping[str, object], *, bucketing=False, workers=0, lora=False, pieces=15
    ):
        self.folder, self.lora, self.seed, self.pieces = folder, lora, 4, pieces
        self.settings = {"num_epochs": 3, "optimizer": ADAM, "learning_rate_scheduler": LINEAR, **settings}
        self.train = split_of(folder, bucketing, workers)
        self.validation = make_split(folder, records(17, flipped=True), name="dev.jsonl")

    def model(self):
        torch.manual_seed(3)
        lora = Lora(rank=2) if self.lora else None
        config = make_config(0.2).updated({"vocab_size": self.pieces})
        return BertForClassification(vocabulary(), config, dropout=0.1, lora=lora)

    def trainer(self, run, seed, callbacks=()):
        model = self.model()
        torch.manual_seed(seed)
        return make_trainer(
            model, self.train, self.settings, validation=self.validation, folder=run, callbacks=callbacks
        )

    def run(self, name, stops=()):
        """Trains with stops; returns how it ends."""
        run = self.folder / name
        run.mkdir()
        for before, stop in pairwise([0, *stops]):
            stopper = StopsAfter(stop)
            trainer = self.trainer(run, self.seed + before, [stopper])
            stopper.loop = trainer.loop
            assert trainer.recover() == (before > 0)
            with pytest.raises(Preempted, match=f"saved after step {stop} of"):
                trainer.train()
        trainer = self.trainer(run, self.seed + sum(stops))
        assert trainer.recover() == bool(stops)
        return End(run, trainer.train(), trainer)


class End:
    """All that a training leaves."""

    def __init__(self, run, metrics, trainer):
        self.weights = weights(trainer.model)
        self.checkpoint = read_checkpoint(max((run / "checkpoints").iterdir()))
        self.metrics = timeless(metrics)
        self.lines = [timeless(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()]

    def __eq__(self, other):
        tensors, others = {}, {}
        states = [timeless_state(self, tensors), timeless_state(other, others)]
        return (
            same(self.weights, other.weights)
            and same(self.checkpoint.weights, other.checkpoint.weights)
            and same(tensors, others)
            and states[0] == states[1]
            and (self.metrics, self.lines) == (other.metrics, other.lines)
        )


def timeless(values):
    return {name: value for name, value in values.items() if name not in ("time", "training_duration")}


def timeless_state(end, tensors):
    """The state of the last checkpoint without times, its tensors put aside."""
    state = dict(end.checkpoint.state)
    position = {**state["position"], "seconds": None, "metrics": timeless(state["position"]["metrics"])}
    return pack({**state, "position": position, "callbacks": None}, "state", tensors)


def check(case):
    expected = case.run("straight")
    for stop in STOPS:
        assert case.run(f"stopped-{stop}", [stop]) == expected, stop
    assert case.run("thrice", [7, 11, 29]) == expected


@pytest.mark.parametrize("name", SETTINGS)
def test_a_stopped_training_ends_bit_equal(tmp_path, name):
    check(Case(tmp_path, SETTINGS[name]))


@pytest.mark.parametrize("name", ["plain", "bf16", "accumulation", "unfreezing"])
def test_with_pieces_that_do_not_occur_too(tmp_path, name):
    case = Case(tmp_path, {**SETTINGS[name], "grad_norm": 1.0}, pieces=90)
    assert case.trainer(None, 0).loop.rows is not None
    check(case)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stopped_training_with_buckets_ends_bit_equal(tmp_path, workers):
    check(Case(tmp_path, {}, bucketing=True, workers=workers))


def test_a_stopped_training_with_lora_ends_bit_equal(tmp_path):
    check(Case(tmp_path, {"precision": "bf16"}, lora=True))


def test_other_seeds_end_differently(tmp_path):
    case = Case(tmp_path, {})
    one = case.run("one")
    case.seed = 5
    assert case.run("other") != one
