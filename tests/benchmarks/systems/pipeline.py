"""Prediction with the pipeline of `transformers`."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.systems.prediction import Predict


def load(model: str, max_pieces: int) -> Predict:
    """Loads a classifier; texts come in batches of 32 as they stand in the file."""
    from transformers import pipeline, utils

    utils.logging.set_verbosity_error()
    classify = pipeline("text-classification", model=model, tokenizer=model, top_k=None, batch_size=32)

    def predict(texts: Sequence[str]) -> list[tuple[str, list[float]]]:
        results = classify(list(texts), truncation=True, max_length=max_pieces)
        return [(found[0]["label"], [one["score"] for one in found]) for found in results]

    return predict
