"""Prediction with `transformers` by a loop as written by hand: sorted by length, in fp32 or bf16."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tests.benchmarks.systems.prediction import Predict


def load(model: str, max_pieces: int, precision: str, batch_size: int) -> Predict:
    """Loads a classifier; in bf16, its weights are cast once."""
    import torch
    from transformers import AutoModelForSequenceClassification, utils

    utils.logging.set_verbosity_error()
    classifier = AutoModelForSequenceClassification.from_pretrained(model).eval()
    classifier.to("cuda" if torch.cuda.is_available() else "cpu")
    if precision == "bf16":
        classifier.bfloat16()

    def logits_of(batch: dict[str, np.ndarray]) -> np.ndarray:
        tensors = {name: torch.from_numpy(array).to(classifier.device) for name, array in batch.items()}
        with torch.inference_mode():
            return classifier(**tensors).logits.float().cpu().numpy()

    return sorted_by_length(model, max_pieces, batch_size, logits_of)


def sorted_by_length(
    model: str, max_pieces: int, batch_size: int, logits_of: Callable[[dict[str, np.ndarray]], np.ndarray]
) -> Predict:
    """Returns what tokenises all texts, sorts them by length, pads each batch, and restores the order."""
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, use_fast=True)
    names = AutoConfig.from_pretrained(model).id2label

    def predict(texts: Sequence[str]) -> list[tuple[str, list[float]]]:
        encoded = tokenizer(list(texts), truncation=True, max_length=max_pieces)
        order = sorted(range(len(texts)), key=lambda row: -len(encoded["input_ids"][row]))
        found: list[tuple[str, list[float]]] = [("", [])] * len(texts)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            columns = {name: [column[row] for row in rows] for name, column in encoded.items()}
            logits = logits_of(dict(tokenizer.pad(columns, return_tensors="np")))
            weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
            probs = weights / weights.sum(axis=-1, keepdims=True)
            for row, one in zip(rows, probs.tolist(), strict=True):
                found[row] = (names[one.index(max(one))], one)
        return found

    return predict
