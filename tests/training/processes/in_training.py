"""What the processes of `test_several_processes.py` do: one training together."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from bertx.data.split import Split
from bertx.errors import Preempted
from bertx.training.callbacks.trainer_callback import TrainerCallback
from bertx.world import World
from tests.processes import unpickled
from tests.training.tiny import make_model, make_split, make_trainer, records

SETTINGS = {
    "num_epochs": 2,
    "optimizer": {"type": "adamw", "lr": 0.01},
    "learning_rate_scheduler": {"type": "linear_with_warmup", "warmup_steps": 0.2},
    "grad_norm": 1.0,
    "num_gradient_accumulation_steps": 2,
    "moving_average": {"type": "exponential", "decay": 0.9},
}


@dataclass(frozen=True)
class Noting(Split):
    """A split that notes which rows this process gets in which epoch."""

    seen: ClassVar = Counter()

    def batches(self, epoch, start=0):
        for batch in super().batches(epoch, start):
            if not batch.is_filler:
                self.seen.update((epoch, int(row)) for row in batch.rows)
            yield batch


class Stops(TrainerCallback):
    """Is the process that gets a signal."""

    def __init__(self, step):
        self.step, self.loop = step, None

    def on_step(self, context, step):
        if step.step == self.step:
            self.loop.stop.signal = 15


def train(world: World, folder: Path) -> dict[str, object]:
    """Trains in double precision, so that sums in another order differ by nothing worth mentioning."""
    given = json.loads((folder / "given.json").read_text())
    own = folder / f"data{world.rank}"
    own.mkdir(exist_ok=True)
    plain = make_split(own, records(given["rows"]), batch_size=given["batch_size"])
    split = Noting(plain.name, plain.dataset, plain.loader, plain.vocabulary, 1, world.rank, world.size)
    dev = make_split(own, records(given["dev_rows"], flipped=True), batch_size=8, name="dev.jsonl")
    validation = Split(dev.name, dev.dataset, dev.loader, dev.vocabulary, 1, world.rank, world.size)
    model = make_model().double()
    torch.manual_seed(world.rank)
    stopper = Stops(given["stop"] if world.rank == world.size - 1 else 0)
    trainer = make_trainer(
        model,
        split,
        {**SETTINGS, **given.get("settings", {})},
        validation=validation,
        folder=folder / "run",
        callbacks=[stopper],
        world=world,
        strategy=given.get("strategy", "ddp"),
    )
    stopper.loop = trainer.loop
    recovered = trainer.recover() if given["recover"] else False
    try:
        metrics = trainer.train()
    except Preempted:
        return {"stopped_at": trainer.loop.position.step, "seen": list(split.seen.elements())}
    return {
        "recovered": recovered,
        "metrics": {name: value for name, value in metrics.items() if name != "training_duration"},
        "weights": [parameter.flatten().tolist() for parameter in trainer.model.parameters()]
        if given.get("strategy") != "fsdp"
        else [],
        "seen": list(split.seen.elements()),
        "unpickled": unpickled(),
    }
