"""Fine-tuning with the Trainer of `transformers`: with its defaults, or with what serves it best."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.rows import Row, read_rows
from tests.benchmarks.tasks import MAX_PIECES, TASKS, Task

BATCH_SIZE = 32


def fine_tune(
    *,
    task: str,
    train_file: str,
    dev_file: str,
    encoder: str,
    is_best: bool,
    is_compiled: bool = False,
    folder: str,
    seed: int,
) -> dict[str, float]:
    """Trains an epoch with the settings of bertx's shipped configs.

    Batches are padded to their longest row. The Trainer's best is bf16, and batches of similar lengths. Its
    rows are tokenised before, in a list in memory, its fastest source; it neither logs nor saves.
    """
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
    tokenizer = AutoTokenizer.from_pretrained(encoder, use_fast=True)
    rows, dev_rows = read_rows(Path(train_file)), read_rows(Path(dev_file))
    labels = TASKS[task].labels(rows)
    clock = _make_clock()
    trainer = Trainer(
        AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=len(labels)),
        _arguments(Path(folder), seed, is_best, is_compiled),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=_encoded(rows, TASKS[task], tokenizer, labels),
        eval_dataset=_encoded(dev_rows, TASKS[task], tokenizer, labels),
        processing_class=tokenizer,
        compute_metrics=lambda results: {"accuracy": (results[0].argmax(-1) == results[1]).mean()},
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    accuracy = float(trainer.evaluate()["eval_accuracy"])
    return {
        "examples_per_second": len(rows) / clock.seconds,
        "accuracy": 100 * accuracy,
        "seconds": time.perf_counter() - started,
    }


def _arguments(folder: Path, seed: int, is_best: bool, is_compiled: bool):
    import torch
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(folder / "trainer"),
        seed=seed,
        num_train_epochs=1,
        per_device_train_batch_size=BATCH_SIZE,
        per_device_eval_batch_size=BATCH_SIZE,
        train_sampling_strategy="group_by_length" if is_best else "random",
        bf16=is_best,
        torch_compile=is_compiled,
        use_cpu=not torch.cuda.is_available(),  # else it refuses bf16 there
        learning_rate=5e-5,
        lr_scheduler_type="linear",
        warmup_steps=0.1,  # below 1: a share of all steps
        weight_decay=0.01,
        max_grad_norm=1.0,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _encoded(rows: Sequence[Row], task: Task, tokenizer, labels: Sequence[str]) -> list[dict[str, object]]:
    encoded = tokenizer(*task.texts(rows), truncation=True, max_length=MAX_PIECES)
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
