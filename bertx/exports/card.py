"""The README.md of an export: what is in the folder, what goes in and comes out, how it was checked."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from bertx.data.instance import JSON
from bertx.exports.classifier import Classifier

USE = {
    "onnx": """\
import numpy, onnxruntime, tokenizers

tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
session = onnxruntime.InferenceSession("model.onnx")
encoded = tokenizer.encode("a gripping film")
ids = {
    "input_ids": numpy.array([encoded.ids]),
    "attention_mask": numpy.array([encoded.attention_mask]),
    "token_type_ids": numpy.array([encoded.type_ids]),
}
(logits,) = session.run(["logits"], ids)
""",
    "torch_export": """\
import tokenizers, torch

tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
model = torch.export.load("model.pt2").module()  # only a file that you trust: the format can hold pickles
encoded = tokenizer.encode("a gripping film")
logits = model(
    input_ids=torch.tensor([encoded.ids]),
    attention_mask=torch.tensor([encoded.attention_mask]),
    token_type_ids=torch.tensor([encoded.type_ids]),
)
""",
    "hf": """\
from transformers import pipeline

classify = pipeline("text-classification", ".")
classify("a gripping film", truncation=True)
""",
    "keras": """\
import keras_hub

classifier = keras_hub.models.BertTextClassifier.from_preset(".")
logits = classifier.predict(["a gripping film"])
""",
}


def card(classifier: Classifier, report: Mapping[str, JSON]) -> str:
    """Writes it.

    Args:
        classifier: What was exported.
        report: What `export` returns.
    """
    names = classifier.config.id2label
    labels = "\n".join(f"| {number} | {label} |" for number, label in names.items())
    inputs = "texts, or pairs of them." if report["format"] == "keras" else _tensors(classifier.max_tokens)
    found = "\n".join(f"- {line}" for line in _lines(report))
    return f"""\
# A text classifier

Exported by bertx {version("bertx")} as `{report["format"]}`.

- Inputs: {inputs}
- The run it was made from cuts texts after {classifier.tokenizer.model_max_length} pieces.
- Output: logits, float32, (rows, {len(names)}), in this order:

| logit | label |
|---|---|
{labels}

```python
{USE[str(report["format"])]}```

## Compared with the run

{found}
"""


def _tensors(max_tokens: int) -> str:
    return (
        "`input_ids`, `attention_mask` (1: a real token, 0: padding) and `token_type_ids` (0: the first "
        f"text, 1: the second), int64, (rows, tokens), for any number of rows and 1 to {max_tokens} tokens."
    )


def _lines(report: Mapping[str, JSON]) -> list[str]:
    lines = []
    for name, value in report.items():
        if isinstance(value, dict):
            lines += [f"{name}: {line}" for line in _lines(value)]
        elif name not in ("format", "folder", "compared_on"):  # places on the machine that made it
            lines.append(f"{name.replace('_', ' ')}: {value}")
    return lines
