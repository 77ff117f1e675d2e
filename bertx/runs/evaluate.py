"""`bertx evaluate`: metrics over data files, each and together, and a line for every instance."""

from __future__ import annotations

import copy
import json
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import orjson
import torch
from torch import Tensor

from bertx.atomic import replacing
from bertx.data.batch import Batch
from bertx.data.encoded import NO_LABEL, EncodedDataset
from bertx.data.instance import JSON
from bertx.data.split import Split
from bertx.errors import DataError, UsageError
from bertx.metrics.metric import Statistic
from bertx.models.model import Output
from bertx.runs.run import Run, decimals, readable
from bertx.training.evaluation import Evaluation, evaluate

logger = logging.getLogger(__name__)

LABEL = "label"  # the field that classifiers learn, and what they call their prediction


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate and how.

    Attributes:
        paths: The data files.
        predictions_output: A JSONL file to write, one line for each instance; None: none.
        batch_size: Instances per batch; None: as the run's config has it.
        refuse_unseen_labels: Whether a label that training has not seen is an error; otherwise it counts as
            wrong and is reported.
    """

    paths: Sequence[Path]
    predictions_output: Path | None = None
    batch_size: int | None = None
    refuse_unseen_labels: bool = False


@dataclass
class _Pool:
    """Adds up the evaluations of several files."""

    loss_sum: float = 0.0
    num_targets: float = 0.0
    statistics: list[Statistic] = field(default_factory=list)

    def add(self, statistics: Sequence[Statistic], loss_sum: float, num_targets: float) -> None:
        self.loss_sum += loss_sum
        self.num_targets += num_targets
        if not self.statistics:
            self.statistics = [copy.deepcopy(statistic) for statistic in statistics]
        else:
            for mine, other in zip(self.statistics, statistics, strict=True):
                mine.merge(other)


def evaluate_files(run: Run, request: EvaluationRequest) -> dict[str, JSON]:
    """Evaluates a run on data files.

    Returns:
        The metrics of one file; of several, an object for each file, and `pooled` over all instances.

    Raises:
        DataError: A file cannot be read, or holds labels unseen in training and these are refused.
    """
    results: dict[str, JSON] = {}
    pool = _Pool()
    with ExitStack() as stack:
        lines: BinaryIO | None = None
        if request.predictions_output is not None:
            temporary = stack.enter_context(replacing(request.predictions_output))
            lines = stack.enter_context(temporary.open("wb"))
        for path in request.paths:
            watch = _Instances(run, path, lines, request.refuse_unseen_labels)
            found = run.evaluate(path, batch_size=request.batch_size, observe=watch)
            watch.finish()
            pool.add(run.model.statistics, found.loss_sum, found.num_targets)
            results[str(path)] = {**found.all}
    if len(request.paths) == 1:
        return results[str(request.paths[0])]  # type: ignore[return-value]  # always an object
    for mine, total in zip(run.model.statistics, pool.statistics, strict=True):
        mine.get_metric(reset=True)
        mine.merge(total)
    loss = pool.loss_sum / pool.num_targets if pool.num_targets else float("nan")
    results["pooled"] = {**run.model.get_metrics(reset=True), "loss": loss}
    return results


def write_predictions(run: Run, split: Split, path: Path) -> Evaluation:
    """Evaluates a run on a split, and writes a line for each instance to a file.

    Raises:
        DataError: The file cannot be written.
        UsageError: The model predicts nothing for single instances.
    """
    with replacing(path) as temporary, temporary.open("wb") as lines:
        watch = _Instances(run, Path(split.name), lines, refuse_unseen=False)
        observe = partial(watch, split.dataset)
        found = evaluate(run.model, split, device=run.device, precision=run.precision, observe=observe)
        watch.finish()
    return found


class _Instances:
    """Sees every batch: keeps a line for each instance, and the labels that training has not seen."""

    def __init__(self, run: Run, path: Path, lines: BinaryIO | None, refuse_unseen: bool) -> None:
        self._run, self._path, self._lines, self._refuse_unseen = run, path, lines, refuse_unseen
        self._by_row: dict[int, bytes] = {}
        self._unseen: Counter[str] = Counter()

    def __call__(self, dataset: EncodedDataset, batch: Batch, output: Output) -> None:
        labels = batch.inputs.get(LABEL)
        label = labels.cpu() if isinstance(labels, Tensor) else None
        gold = _gold(dataset, batch)
        if label is not None:
            unknown = (label < 0).tolist()
            self._unseen.update(
                name for name, lost in zip(gold, unknown, strict=True) if lost and name is not None
            )
        if self._refuse_unseen and self._unseen:
            raise DataError(f"{self._complaint()}; leave out --unseen-labels error to count them as wrong")
        if self._lines is not None:
            self._keep(dataset, batch, output, gold, label)

    def _keep(
        self,
        dataset: EncodedDataset,
        batch: Batch,
        output: Output,
        gold: Sequence[str | None],
        label: Tensor | None,
    ) -> None:
        if not any(value.ndim for value in output.values()):
            name = self._run.experiment.model.label
            raise UsageError(
                f"--predictions-output-file: {name} predicts nothing for single instances; leave it out"
            )
        predictions = readable(self._run.model, output)
        losses = _losses(output, label, batch.size)
        rows = batch.rows.tolist()
        for row, label_name, loss, prediction in zip(rows, gold, losses, predictions, strict=True):
            first = {
                "id": dataset.identifier(row),
                "gold": label_name,
                "prediction": prediction.pop(LABEL, None),
            }
            self._by_row[row] = orjson.dumps({**first, **prediction, "loss": loss}) + b"\n"

    def finish(self) -> None:
        """Writes the lines in the order of the data; reports labels unseen in training."""
        if self._unseen:
            logger.warning("%s; they count as wrong", self._complaint())
        if self._lines is not None:
            self._lines.writelines(self._by_row[row] for row in sorted(self._by_row))

    def _complaint(self) -> str:
        listed = ", ".join(f"{name!r} ({count})" for name, count in self._unseen.most_common(5))
        return f"{self._path}: labels that training has not seen: {listed}"


def _gold(dataset: EncodedDataset, batch: Batch) -> list[str | None]:
    column = dataset.labels.get(LABEL)
    if column is None:
        return [None] * batch.size
    codes = column.codes[batch.rows].tolist()
    return [None if code == NO_LABEL else column.labels[code] for code in codes]


def _losses(output: Output, label: Tensor | None, size: int) -> list[JSON]:
    """Returns each instance's cross-entropy; None where the label is unknown, or the loss is another."""
    nothing: list[JSON] = [None] * size
    logits = output.get("logits")
    if label is None or logits is None or logits.ndim != 2 or int(label.max()) >= logits.shape[1]:
        return nothing
    losses = torch.nn.functional.cross_entropy(logits.float().cpu(), label, reduction="none")
    known = label >= 0
    if not known.any() or not torch.allclose(losses[known].mean(), output["loss"].float().cpu(), rtol=1e-3):
        return nothing
    return [loss if has else None for loss, has in zip(decimals(losses), known.tolist(), strict=True)]


def as_text(results: dict[str, JSON]) -> str:
    """Returns results as indented JSON."""
    return json.dumps(results, indent=2, ensure_ascii=False)
