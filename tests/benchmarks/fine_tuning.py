"""Fine-tunes one encoder on the same rows with bertx and with the Trainer of transformers, in turn.

What is compared: accuracy on the whole development set, and examples per second of the training steps
(without set-up, validation and saving), for SST-2 (8,000 rows) or SNLI (20,000 pairs), seeds 1 to 3.

Both take the first rows in the order of random.Random(0).shuffle, the same encoder, and: AdamW with weight
decay 0.01 except on biases and LayerNorm, lr 5e-5, linear warm-up over 10 % of the steps and linear fall to
zero, gradients clipped to norm 1, batches of 32 rows of similar length, at most 128 pieces, dropout 0.1
before the classifier, bf16. bertx goes through its own `train` with the shipped config. The Trainer keeps
its rows tokenised in a list in memory, its fastest source, and neither logs nor saves. Who comes first
changes from seed to seed.

Goal: bertx's mean accuracy is not more than 0.3 points below the Trainer's.

    python -m tests.benchmarks.fine_tuning --task sst2
    python -m tests.benchmarks.fine_tuning --task snli
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median

from tests.benchmarks.bertx_training import Trained, train_with_bertx
from tests.benchmarks.rows import Row, read_rows, shuffled_rows, write_rows
from tests.benchmarks.surroundings import data_folder, encoder_folder, print_json, verdict

ALLOWED_POINTS = 0.3  # how far bertx's mean accuracy may be below
MAX_PIECES = 128
BATCH_SIZE = 32
LR = 5e-5


@dataclass(frozen=True)
class Task:
    """A data set: its keys, and how many training rows are taken unless --rows says otherwise."""

    name: str
    text_keys: tuple[str, ...]
    label_key: str
    rows: int


TASKS = {
    "sst2": Task("sst2", ("text",), "label", 8_000),
    "snli": Task("snli", ("sentence1", "sentence2"), "gold_label", 20_000),
}


@dataclass(frozen=True)
class Job:
    """What both systems are given."""

    task: Task
    train_file: Path
    dev_file: Path
    encoder: Path
    epochs: int
    folder: Path


def train_bertx(job: Job, seed: int) -> Trained:
    """Trains with bertx."""
    return train_with_bertx(
        f"{job.task.name}.jsonnet",
        job.folder / f"seed_{seed}",
        ext_vars={"DATA": str(data_folder()), "ENCODER": str(job.encoder)},
        overrides={
            "train_data_path": str(job.train_file),
            "validation_data_path": str(job.dev_file),
            "trainer.num_epochs": job.epochs,
            "trainer.precision": "bf16",
            "random_seed": seed,
        },
    )


def train_trainer(job: Job, seed: int) -> Trained:
    """Trains with the Trainer of transformers."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        set_seed,
        utils,
    )

    utils.logging.set_verbosity_error()
    utils.logging.disable_progress_bar()
    started = time.perf_counter()
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(job.encoder, use_fast=True)
    train_rows, dev_rows = read_rows(job.train_file), read_rows(job.dev_file)
    labels = sorted({row[job.task.label_key] for row in train_rows})
    model = AutoModelForSequenceClassification.from_pretrained(job.encoder, num_labels=len(labels))
    clock = _make_clock()
    trainer = Trainer(
        model,
        _training_arguments(job, seed),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=_encoded(train_rows, job.task, tokenizer, labels),
        eval_dataset=_encoded(dev_rows, job.task, tokenizer, labels),
        processing_class=tokenizer,
        compute_metrics=lambda results: {"accuracy": (results[0].argmax(-1) == results[1]).mean()},
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    accuracy = float(trainer.evaluate()["eval_accuracy"])
    speed = len(train_rows) * job.epochs / clock.seconds
    return Trained(accuracy, speed, time.perf_counter() - started)


def _training_arguments(job: Job, seed: int):
    import torch
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(job.folder / f"trainer_{seed}"),
        seed=seed,
        num_train_epochs=job.epochs,
        per_device_train_batch_size=BATCH_SIZE,
        per_device_eval_batch_size=BATCH_SIZE,
        train_sampling_strategy="group_by_length",
        learning_rate=LR,
        lr_scheduler_type="linear",
        warmup_steps=0.1,  # below 1: a share of all steps
        weight_decay=0.01,
        max_grad_norm=1.0,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def _encoded(rows: Sequence[Row], task: Task, tokenizer, labels: Sequence[str]) -> list[dict[str, object]]:
    texts = [[row[key] for row in rows] for key in task.text_keys]
    encoded = tokenizer(*texts, truncation=True, max_length=MAX_PIECES)
    return [
        {name: column[number] for name, column in encoded.items()}
        | {"labels": labels.index(row[task.label_key])}
        for number, row in enumerate(rows)
    ]


def _make_clock():
    """Makes a callback that counts what bertx's clock counts: from the first batch to the last step."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        started = seconds = 0.0

        def on_train_begin(self, args, state, control, **rest):
            self.started = time.perf_counter()

        def on_step_end(self, args, state, control, **rest):
            self.seconds = time.perf_counter() - self.started

    return Clock()


SYSTEMS: dict[str, Callable[[Job, int], Trained]] = {"bertx": train_bertx, "trainer": train_trainer}


def run_all(job: Job, systems: Sequence[str], seeds: Sequence[int]) -> dict[str, list[Trained]]:
    """Trains with every system and seed; the systems take turns at coming first."""
    results: dict[str, list[Trained]] = {name: [] for name in systems}
    for turn, seed in enumerate(seeds):
        for name in systems if turn % 2 == 0 else reversed(systems):
            result = SYSTEMS[name](job, seed)
            results[name].append(result)
            print(
                f"seed {seed}  {name:7}  accuracy {result.accuracy:.4f}  "
                f"{result.examples_per_second:8.1f} examples/s  {result.seconds:.0f} s in all",
                flush=True,
            )
    return results


def summarise(results: dict[str, list[Trained]]) -> dict[str, object]:
    """Prints means and, if both systems ran, their difference; returns the figures."""
    figures: dict[str, object] = {name: [asdict(run) for run in runs] for name, runs in results.items()}
    accuracies = {name: [run.accuracy for run in runs] for name, runs in results.items()}
    speeds = {name: median(run.examples_per_second for run in runs) for name, runs in results.items()}
    for name in results:
        print(f"{name:7}  mean accuracy {mean(accuracies[name]):.4f}  median {speeds[name]:.1f} examples/s")
    if len(results) == 2:
        pairs = zip(accuracies["bertx"], accuracies["trainer"], strict=True)
        by_seed = [100 * (ours - theirs) for ours, theirs in pairs]
        points, ratio = mean(by_seed), speeds["bertx"] / speeds["trainer"]
        holds = points >= -ALLOWED_POINTS
        print(f"bertx - trainer: {points:+.2f} points (by seed: {', '.join(f'{d:+.2f}' for d in by_seed)})")
        print(f"bertx / trainer: {ratio:.2f} times the examples/s")
        print(f"not more than {ALLOWED_POINTS} points below: {verdict(holds)}")
        figures |= {"difference_points": points, "speed_ratio": ratio, "not_more_than_0.3_below": holds}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=sorted(TASKS), default="sst2")
    parser.add_argument("--encoder", type=Path, help="folder of a pretrained BERT (default: MiniLM)")
    parser.add_argument("--only", choices=list(SYSTEMS), help="run one of the two")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rows", type=int, help="training rows (default: sst2 8000, snli 20000)")
    parser.add_argument("--dev-rows", type=int, help="development rows, for a trial (default: all)")
    parser.add_argument("--epochs", type=int, default=1)
    args = parser.parse_args()
    task = TASKS[args.task]
    source = data_folder() / task.name
    with tempfile.TemporaryDirectory(prefix="bertx-benchmark-") as name:
        folder = Path(name)
        os.environ["BERTX_CACHE"] = str(folder / "cache")
        train_rows = shuffled_rows(source / "train.jsonl", args.rows or task.rows)
        dev_rows = read_rows(source / "dev.jsonl")[: args.dev_rows]
        job = Job(
            task,
            write_rows(train_rows, folder / "train.jsonl"),
            write_rows(dev_rows, folder / "dev.jsonl"),
            encoder_folder(args.encoder),
            args.epochs,
            folder,
        )
        print(
            f"{task.name}: {len(train_rows):,} training and {len(dev_rows):,} development rows, {job.encoder}"
        )
        figures = summarise(run_all(job, [args.only] if args.only else list(SYSTEMS), args.seeds))
    settings = vars(args) | {"rows": len(train_rows), "dev_rows": len(dev_rows), "encoder": job.encoder}
    print_json("fine_tuning", settings, figures)


if __name__ == "__main__":
    main()
