"""Training, predicting and evaluating the Keras way, on texts or on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bertx.data.batch import Batch
from bertx.devices import choose_device
from bertx.keras_style.compiled_classifier import ACTIVATIONS, CompiledClassifier
from bertx.keras_style.history import History
from bertx.keras_style.losses import SparseCategoricalCrossentropy
from bertx.keras_style.metrics import SparseCategoricalAccuracy
from bertx.keras_style.optimizers import Adam, AdamW
from bertx.keras_style.preprocessor import BertTextClassifierPreprocessor, Texts
from bertx.keras_style.quantization import require_unquantized
from bertx.keras_style.rows import Rows, rows_of
from bertx.metrics.metric import Metric
from bertx.models.model import Output
from bertx.training.evaluation import evaluate
from bertx.training.gradient_descent import GradientDescentTrainer

Features: TypeAlias = "Texts | tuple[Texts, ...] | Mapping[str, npt.ArrayLike]"
"""Texts, or for pairs a tuple of the first and the second texts; without preprocessor arrays by name."""
Auto: TypeAlias = Literal["auto"]
BATCH_SIZE = 32


class Task:
    """A model with a preprocessor before it, which `fit`, `predict` and `evaluate` run themselves.

    Args:
        model: The model of `bertx.models` that does the work.
        preprocessor: Makes token ids of texts; None: what comes is a dict of `token_ids`, `segment_ids` and
            `padding_mask`.
        compile: Whether to call `compile` with its defaults.

    Attributes:
        model: As given.
        preprocessor: As given; it may be set.
    """

    def __init__(
        self,
        model: CompiledClassifier,
        preprocessor: BertTextClassifierPreprocessor | None,
        *,
        compile: bool = True,
    ) -> None:
        self.model = model.eval()
        self.preprocessor = preprocessor
        self.optimizer: AdamW | None = None
        if compile:
            self.compile()

    def compile(
        self,
        optimizer: AdamW | Auto = "auto",
        loss: SparseCategoricalCrossentropy | Auto = "auto",
        *,
        metrics: Sequence[Metric] | Auto = "auto",
        jit_compile: bool | Auto = "auto",
    ) -> None:
        """Chooses how to train and what to report.

        Args:
            optimizer: By default Adam with a learning rate of 5e-5.
            loss: By default cross-entropy, of probabilities if the activation is softmax, else of logits.
            metrics: By default `sparse_categorical_accuracy`; any metric of `bertx.metrics` will do.
            jit_compile: Is for Keras: PyTorch computes without it.
        """
        self.optimizer = Adam(5e-5) if optimizer == "auto" else optimizer
        from_logits = self.model.activation is not ACTIVATIONS["softmax"]
        self.model.compiled_loss = SparseCategoricalCrossentropy(from_logits) if loss == "auto" else loss
        self.model.counted = [SparseCategoricalAccuracy()] if metrics == "auto" else list(metrics)

    def fit(
        self,
        x: Features,
        y: npt.ArrayLike,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        validation_data: tuple[Features, npt.ArrayLike]
        | tuple[Features, npt.ArrayLike, npt.ArrayLike]
        | None = None,
        shuffle: bool = True,
        sample_weight: npt.ArrayLike | None = None,
    ) -> History:
        """Trains.

        Args:
            x: What to train on.
            y: Classes, int, (rows,).
            batch_size: Rows per step; None: 32.
            epochs: How many times to go through the rows.
            validation_data: `x`, `y` and maybe `sample_weight` of rows to evaluate on after every epoch.
            shuffle: Whether to go through the rows in random order.
            sample_weight: How much each row counts in the loss, (rows,); None: all the same.

        Returns:
            An object whose `history` has the values of each metric, one per epoch: `loss`,
            `sparse_categorical_accuracy`, and `val_loss` and so on with validation data.

        Raises:
            ValueError: The model is not compiled, is quantized, or `x`, `y` and the weights do not match.
            ConfigError: Nothing is trainable, or a number is out of its range.
            DataError: An id or a class is out of range.
        """
        optimizer = self._compiled("fit")
        require_unquantized(self.model, "fit")
        size = BATCH_SIZE if batch_size is None else batch_size
        train = self._rows(x, y, sample_weight).split("train", size, shuffle=shuffle)
        validation = self._rows(*validation_data).split("validation", size) if validation_data else None
        history, device = History(), choose_device(None)
        self.model.to(device)
        trainer = GradientDescentTrainer(
            self.model,
            train,
            optimizer=optimizer.lazy,
            num_epochs=epochs,
            callbacks=[history],
            validation=validation,
            device=device,
        )
        try:
            trainer.train()
        finally:
            self.model.eval()
        return history

    def predict(self, x: Features, *, batch_size: int | None = None) -> npt.NDArray[np.float32]:
        """Predicts.

        Args:
            x: What to predict for.
            batch_size: Rows per batch; None: 32.

        Returns:
            float32, (rows, num_classes): logits, or what the activation makes of them; in the order of `x`.

        Raises:
            ValueError: `x` is not what `preprocessor` takes.
            DataError: An id is out of range.
        """
        rows = self._rows(x)
        found = np.empty((len(rows), len(self.model.labels)), np.float32)

        def note(batch: Batch, output: Output) -> None:
            found[batch.rows] = output["outputs"].float().cpu().numpy()

        self._evaluate(rows, batch_size, note)
        return found

    def evaluate(
        self,
        x: Features,
        y: npt.ArrayLike,
        *,
        batch_size: int | None = None,
        sample_weight: npt.ArrayLike | None = None,
        return_dict: bool = False,
    ) -> list[float] | dict[str, float]:
        """Computes loss and metrics.

        Args:
            x: What to evaluate on.
            y: Classes, int, (rows,).
            batch_size: Rows per batch; None: 32.
            sample_weight: How much each row counts in the loss, (rows,); None: all the same.
            return_dict: Whether to return the values by name.

        Returns:
            The loss, and the metrics in the order of `compile`.

        Raises:
            ValueError: The model is not compiled, or `x`, `y` and the weights do not match.
            DataError: An id or a class is out of range.
        """
        self._compiled("evaluate")
        values = self._evaluate(self._rows(x, y, sample_weight), batch_size)
        return values if return_dict else list(values.values())

    def _compiled(self, what: str) -> AdamW:
        if self.optimizer is None:
            raise ValueError(f"{what}: the model has no loss and no optimizer yet; call compile() first")
        return self.optimizer

    def _rows(
        self, x: Features, y: npt.ArrayLike | None = None, sample_weight: npt.ArrayLike | None = None
    ) -> Rows:
        """Makes rows of what the user gives; see `rows_of` for what is raised."""
        if self.preprocessor is None:
            if not isinstance(x, Mapping):
                raise ValueError(
                    f"x is a {type(x).__name__}; expected a dict of token_ids, segment_ids and padding_mask, "
                    "since the model has no preprocessor"
                )
            features = x
        elif isinstance(x, Mapping):
            raise ValueError(
                "x is a dict; expected texts, since the model has a preprocessor; set that to None for ids"
            )
        else:
            features = self.preprocessor.pack(x)
        config, classes = self.model.encoder_config, len(self.model.labels)
        return rows_of(features, y, sample_weight, config=config, num_classes=classes)

    def _evaluate(
        self, rows: Rows, batch_size: int | None, observe: Callable[[Batch, Output], None] | None = None
    ) -> dict[str, float]:
        """Returns the loss, first, and the metrics."""
        device = choose_device(None)
        split = rows.split("x", BATCH_SIZE if batch_size is None else batch_size)
        found = evaluate(self.model.to(device), split, device=device, observe=observe).all
        return {"loss": found.pop("loss"), **found}
