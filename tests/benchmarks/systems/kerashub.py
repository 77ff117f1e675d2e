"""Fine-tuning with KerasHub's BertTextClassifier, on Keras's backend in use (torch, unless KERAS_BACKEND)."""

from __future__ import annotations

import time
from pathlib import Path

from tests.benchmarks.rows import read_rows
from tests.benchmarks.tasks import TASKS

BATCH_SIZE = 32
LR = 5e-5


def fine_tune(
    *,
    task: str,
    train_file: str,
    dev_file: str,
    encoder: str,
    rows: int,
    dev_rows: int,
    sequence_length: int,
    seed: int,
) -> dict[str, float]:
    """Trains an epoch with the settings of bertx's shipped configs, in mixed bf16.

    KerasHub pads every text to one length; it gets that of the longest.
    """
    import keras
    import keras_hub
    import numpy as np

    started = time.perf_counter()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("mixed_bfloat16")
    train, dev = read_rows(Path(train_file))[:rows], read_rows(Path(dev_file))[:dev_rows]
    labels = TASKS[task].labels(train)
    key = TASKS[task].label_key
    given, expected = (np.array([labels.index(row[key]) for row in part]) for part in (train, dev))
    texts, dev_texts = (_texts(TASKS[task].texts(part)) for part in (train, dev))
    classifier = keras_hub.models.BertTextClassifier.from_preset(encoder, num_classes=len(labels))
    classifier.preprocessor.sequence_length = sequence_length
    classifier.compile(
        optimizer=_optimizer(-(-len(train) // BATCH_SIZE)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    clock = _make_clock()
    classifier.fit(texts, given, batch_size=BATCH_SIZE, epochs=1, verbose=0, callbacks=[clock])
    accuracy = classifier.evaluate(dev_texts, expected, batch_size=BATCH_SIZE, verbose=0)[1]
    return {
        "examples_per_second": len(train) / clock.seconds,
        "accuracy": 100 * float(accuracy),
        "seconds": time.perf_counter() - started,
    }


def _texts(columns: tuple[list[str], ...]):
    import numpy as np

    arrays = tuple(np.array(column, dtype=object) for column in columns)
    return arrays if len(arrays) > 1 else arrays[0]


def _optimizer(num_steps: int):
    import keras

    warmup_steps = max(1, round(0.1 * num_steps))
    schedule = keras.optimizers.schedules.PolynomialDecay
    warm, fall = (
        schedule(0.0, warmup_steps, LR),
        schedule(LR, max(1, num_steps - warmup_steps), 0.0),
    )

    class LinearWithWarmup(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            step = keras.ops.cast(step, "float32")
            return keras.ops.where(step < warmup_steps, warm(step), fall(step - warmup_steps))

    optimizer = keras.optimizers.AdamW(LinearWithWarmup(), weight_decay=0.01, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _make_clock():
    import keras

    class Clock(keras.callbacks.Callback):
        started = seconds = 0.0

        def on_train_begin(self, logs=None):
            self.started = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.seconds = time.perf_counter() - self.started

    return Clock()
