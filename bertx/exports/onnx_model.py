"""ONNX: one file that ONNX Runtime computes without Python or torch.

The `onnx` extra is imported on use.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bertx.errors import UsageError
from bertx.exports.classifier import Classifier
from bertx.exports.parity import Predict
from bertx.exports.traced import INPUTS, OUTPUT, exported_program, without_noise

if TYPE_CHECKING:
    import onnx

NEEDED = ("onnx", "onnxscript", "onnxruntime")
FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"


def require_packages() -> None:
    """Checks that the packages are there.

    Raises:
        UsageError: One is missing.
    """
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(
                f'--to onnx: the package {name} cannot be imported ({error}); pip install "bertx[onnx]"'
            ) from None


def write(classifier: Classifier, folder: Path) -> Predict:
    """Writes `model.onnx`, for any number of rows and tokens; returns what computes it."""
    program = exported_program(classifier)
    with without_noise():
        converted = torch.onnx.export(
            program, dynamo=True, input_names=list(INPUTS), output_names=[OUTPUT], verbose=False
        )
    assert converted is not None  # None comes from the old exporter only
    proto: onnx.ModelProto = converted.model_proto
    _forget_origins(proto)
    (folder / FILE).write_bytes(proto.SerializeToString())
    classifier.write_surroundings(folder)
    return opened(folder / FILE)


def write_int8(folder: Path) -> Predict:
    """Writes `model.int8.onnx` beside `model.onnx`: matrices in 8 bits, activations as they come."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    proto = onnx.load(folder / FILE)
    # Without it, onnxruntime advises at length to optimise the graph first, which changes nothing here.
    proto.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    with without_noise():
        quantize_dynamic(proto, folder / INT8_FILE, weight_type=QuantType.QInt8)
    return opened(folder / INT8_FILE)


def opened(path: Path) -> Predict:
    """Opens an ONNX file on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def predict(batch: Mapping[str, Tensor]) -> Tensor:
        (logits,) = session.run([OUTPUT], {name: batch[name].numpy() for name in INPUTS})
        return torch.from_numpy(np.asarray(logits))

    return predict


def _forget_origins(proto: onnx.ModelProto) -> None:
    """Deletes what the exporter notes for its own developers, such as paths of this machine.

    The shapes of intermediate values go too: those of transposed weights are wrong, which stops a
    quantization, and every reader infers them anew.
    """
    del proto.graph.value_info[:]
    graph = proto.graph
    for part in [graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *proto.functions]:
        del part.metadata_props[:]
        part.doc_string = ""
