"""Prediction with ONNX Runtime on the CPU, in fp32 or, with dynamic quantisation, int8."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tests.benchmarks.systems.hand_loop import sorted_by_length
from tests.benchmarks.systems.prediction import Predict

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def export(model: str, target: str) -> dict[str, float]:
    """Writes fp32.onnx and int8.onnx of a classifier of `transformers`.

    What was fastest of what was tried is taken: the graph of torch's older exporter, weights in signed 8
    bits. Fusing the attention by onnxruntime.transformers.optimizer made it slower.
    """
    import torch
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForSequenceClassification

    classifier = AutoModelForSequenceClassification.from_pretrained(model, attn_implementation="eager").eval()
    ids = torch.ones(2, 16, dtype=torch.int64)
    folder = Path(target)
    folder.mkdir(exist_ok=True)
    torch.onnx.export(
        classifier,
        (ids, ids, torch.zeros_like(ids)),
        str(folder / "fp32.onnx"),
        dynamo=False,
        input_names=list(INPUTS),
        output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in INPUTS} | {"logits": {0: "batch"}},
        opset_version=17,
    )
    quantize_dynamic(
        folder / "fp32.onnx",
        folder / "int8.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,  # more exact, and as fast
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    return {}


def load(model: str, onnx_file: str, max_pieces: int, batch_size: int) -> Predict:
    """Opens an ONNX file; tokenizer and names of labels come from the classifier's folder."""
    import onnxruntime

    if not Path(onnx_file).is_file():  # nothing could write it
        raise ModuleNotFoundError("onnx is not installed", name="onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    session = onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])

    def logits_of(batch: dict[str, np.ndarray]) -> np.ndarray:
        return session.run(["logits"], {name: batch[name] for name in INPUTS})[0]

    return sorted_by_length(model, max_pieces, batch_size, logits_of)
