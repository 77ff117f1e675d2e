"""A run and what it predicts for one file, as the pages of runs need it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bertx.ablation.outcome import PREDICTIONS, RunOutcome, Split
from bertx.ablation.results.evidence import Key, RunEvidence, read_curves, read_predictions
from bertx.data.instance import JSON
from bertx.errors import CheckpointError, UsageError
from bertx.report.texts import read_texts, recorded_data
from bertx.runs.evaluate import EvaluationRequest, evaluate_files
from bertx.runs.run import Run, load


@dataclass(frozen=True)
class Evaluated:
    """A run, evaluated on one file.

    Attributes:
        path: The run folder or archive.
        run: The run.
        data: The file; None: that of the training is gone, and no other was given.
        evidence: Metrics and predictions on the file, and how training went.
        texts: What its instances say.
        metrics: What `metrics.json` holds; nothing if it is not there.
    """

    path: Path
    run: Run
    data: Path | None
    evidence: RunEvidence
    texts: dict[Key, str]
    metrics: dict[str, JSON]


def evaluated_run(
    path: Path, data: Path | None, *, device: str | None = None, include_packages: Sequence[str] = ()
) -> Evaluated:
    """Opens a run and evaluates it.

    Args:
        path: A run folder or a `model.tar.gz`.
        data: The file to evaluate on; None: the one it was tested on, or else validated on.
        device: Where to compute; None: a GPU if there is one.
        include_packages: Modules with components of the user's own.

    Raises:
        CheckpointError: It is no run, or a broken one.
        DataError: The data cannot be read.
    """
    run = load(path, device=device, include_packages=include_packages)
    split: Split = "test" if run.experiment.evaluate_on_test else "validation"
    file = recorded_data(run, split) if data is None else data
    evidence = _evidence(path, run, file)
    texts = {} if file is None else read_texts(run, file)
    return Evaluated(
        path, run, file, evidence, {(None, name): text for name, text in texts.items()}, _metrics(path)
    )


def _evidence(path: Path, run: Run, file: Path | None) -> RunEvidence:
    parameters = list(run.model.parameters())
    found: dict[str, JSON] = {}
    predictions = None
    if file is not None:
        with tempfile.TemporaryDirectory(prefix="bertx-") as folder:
            lines = Path(folder) / PREDICTIONS
            try:
                found = evaluate_files(run, EvaluationRequest([file], lines))
                predictions = read_predictions(lines)
            except UsageError:  # a model that predicts nothing for single instances
                found = evaluate_files(run, EvaluationRequest([file]))
    metrics = {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}
    outcome = RunOutcome(
        str(path),
        run.experiment.order_seed,
        None,
        "",
        "finished",
        str(path),
        metrics,
        num_parameters=sum(parameter.numel() for parameter in parameters),
    )
    return RunEvidence(outcome, predictions, read_curves(path))


def _metrics(path: Path) -> dict[str, JSON]:
    file = path / "metrics.json"
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error})") from None
    return found if isinstance(found, dict) else {}
