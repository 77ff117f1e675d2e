"""`bertx export`: a run's classifier as a folder that needs no bertx, compared with the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from torch import Tensor

from bertx.atomic import new_folder, require_no_folder, write_text
from bertx.bert.fused.routing import step_by_step
from bertx.bert.lora import lora_layers, merge_lora
from bertx.data.instance import JSON
from bertx.errors import DataError, UsageError
from bertx.exports import onnx_model, published, traced
from bertx.exports.card import card
from bertx.exports.classifier import Classifier, classifier_of
from bertx.exports.parity import Predict, accuracy, compare, logits_of, require_parity
from bertx.exports.rows import Rows, real_rows
from bertx.runs.run import Run
from bertx.training.evaluation import evaluating

Format: TypeAlias = Literal["onnx", "hf", "keras", "torch_export"]

WRITERS: Mapping[Format, Callable[[Classifier, Path], Predict]] = {
    "onnx": onnx_model.write,
    "hf": published.write_huggingface,
    "keras": published.write_keras,
    "torch_export": traced.write,
}
# Other programs add numbers up in another order; what our own model computes of the same weights is equal.
TOLERANCES: Mapping[Format, float] = {"onnx": 1e-4, "hf": 0.0, "keras": 1e-4, "torch_export": 1e-4}
OTHER_GELU_TOLERANCE = 1e-2  # KerasHub computes the tanh approximation of GELU, whatever the encoder does
MERGED_TOLERANCE = 1e-5  # LoRA's products are added up in another order once they are one matrix


@dataclass(frozen=True)
class ExportRequest:
    """What to export and how.

    Attributes:
        target: The folder to write; nothing may be there.
        format: What to write.
        data: Rows to compare on; None: what the run was validated and tested on.
        int8: Whether to write an ONNX model in 8 bits too.
        tolerance: The largest difference of logits to accept; None: that of the format.
    """

    target: Path
    format: Format
    data: Path | None = None
    int8: bool = False
    tolerance: float | None = None


def export(run: Run, request: ExportRequest) -> dict[str, JSON]:
    """Writes the export, if it computes what the run computes.

    LoRA's updates become part of the weights they belong to, in the export and in the run's model.

    Args:
        run: The run, on the CPU.
        request: What to write.

    Returns:
        What was compared and found: `largest_logit_difference`, `label_agreement` and so on.

    Raises:
        UsageError: The run has no classifier, the folder is there, or a package is missing.
        DataError: There are no rows to compare on, or the folder cannot be written.
        ExportError: The export computes something else; then nothing is written.
    """
    check(request)
    classifier = classifier_of(run)
    rows = real_rows(run, classifier.model, request.data)
    _check_labels(request, rows)
    tolerance = _tolerance(request, classifier)
    with evaluating(classifier), step_by_step(), new_folder(request.target) as folder:
        expected = logits_of(classifier.predict, rows.batches, "run")
        merge_lora(classifier)
        predict = WRITERS[request.format](classifier, folder)
        parity = compare(expected, logits_of(predict, rows.batches, "export"))
        require_parity(parity, tolerance)
        report: dict[str, JSON] = {
            "format": request.format,
            "folder": str(request.target),
            "compared_on": rows.source,
            "rows": len(rows.lengths),
            "tokens_per_row": [int(rows.lengths.min()), int(rows.lengths.max())],
            "largest_logit_difference": parity.largest_difference,
            "label_agreement": parity.agreement,
        }
        if request.int8:
            report["int8"] = _int8(folder, rows, expected)
        write_text(folder / "README.md", card(classifier, report))
    return report


def check(request: ExportRequest) -> None:
    """Checks all that can be checked without the run.

    Raises:
        UsageError: The folder is there, a package is missing, or --int8 is not for the format.
    """
    require_no_folder(request.target)
    if request.int8 and request.format != "onnx":
        raise UsageError(f"--int8: is for --to onnx, not for --to {request.format}; leave it out")
    if request.format == "onnx":
        onnx_model.require_packages()


def _check_labels(request: ExportRequest, rows: Rows) -> None:
    if request.int8 and rows.labels is None:
        raise DataError(
            f"{rows.source}: not all rows have labels; --int8 reports how the accuracy changes, which needs "
            "them; give labelled rows with --data"
        )


def _tolerance(request: ExportRequest, classifier: Classifier) -> float:
    if request.tolerance is not None:
        return request.tolerance
    accepted = TOLERANCES[request.format]
    if any(lora_layers(classifier)):
        accepted = max(accepted, MERGED_TOLERANCE)
    if request.format == "keras" and classifier.config.hidden_act != "gelu_new":
        accepted = max(accepted, OTHER_GELU_TOLERANCE)
    return accepted


def _int8(folder: Path, rows: Rows, expected: Tensor) -> dict[str, JSON]:
    """Writes the model in 8 bits; tells what that costs."""
    assert rows.labels is not None  # checked before the work
    found = logits_of(onnx_model.write_int8(folder), rows.batches, "int8")
    parity = compare(expected, found)
    before, after = accuracy(expected, rows.labels), accuracy(found, rows.labels)
    return {
        "largest_logit_difference": parity.largest_difference,
        "label_agreement": parity.agreement,
        "accuracy_before": before,
        "accuracy": after,
        "accuracy_change": after - before,
    }
