"""A classifier as a graph of torch's operations, for any number of rows and tokens."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from bertx.exports.classifier import Classifier
from bertx.exports.parity import Predict

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "logits"
FILE = "model.pt2"


def exported_program(classifier: Classifier) -> torch.export.ExportedProgram:
    """Traces a classifier, which is in evaluation mode."""
    # Sizes that stand for others: torch takes 0 and 1 for constants.
    example = {name: torch.zeros(2, min(8, classifier.max_tokens), dtype=torch.int64) for name in INPUTS}
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens", max=classifier.max_tokens)
    sizes = {name: {0: batch, 1: tokens} for name in INPUTS}
    with without_noise(), torch.no_grad():
        program = torch.export.export(classifier, (), example, dynamic_shapes=sizes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names files of this machine
    return program


def write(classifier: Classifier, folder: Path) -> Predict:
    """Writes `model.pt2`, for any number of rows and tokens; returns what computes it."""
    with without_noise():
        torch.export.save(exported_program(classifier), folder / FILE)
        # Only what was written a moment ago is ever opened here: the format can hold pickles.
        loaded = torch.export.load(folder / FILE).module()
    classifier.write_surroundings(folder)

    def predict(batch: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = loaded(**{name: batch[name] for name in INPUTS})
        return logits

    return predict


@contextmanager
def without_noise() -> Iterator[None]:
    """Silences what torch's and ONNX's exporters tell their developers."""
    root, torchs = logging.getLogger(), logging.getLogger("torch.onnx")
    before, nowhere = torchs.level, logging.NullHandler()
    torchs.setLevel(logging.ERROR)
    root.addHandler(nowhere)  # onnxruntime's first message would else give the root a handler for good
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(nowhere)
        torchs.setLevel(before)
