"""Folders that Hugging Face's `transformers` and KerasHub load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bertx.bert.checkpoints.formats import read_config, read_tensors
from bertx.bert.checkpoints.huggingface import load_tensors, parameters_by_name, write_directory
from bertx.bert.checkpoints.keras import write_keras_preset
from bertx.bert.checkpoints.keras_objects import KerasModel
from bertx.bert.task_heads import BertForSequenceClassification
from bertx.exports.classifier import Classifier
from bertx.exports.parity import Predict


def write_huggingface(classifier: Classifier, folder: Path) -> Predict:
    """Writes a `BertForSequenceClassification`; returns what computes it, read back."""
    write_directory(_published(classifier), folder, classifier.tokenizer)
    return _read_back(folder)


def write_keras(classifier: Classifier, folder: Path) -> Predict:
    """Writes the preset of a `BertTextClassifier`; returns what computes it, read back."""
    described = KerasModel(
        classifier.config, "BertTextClassifier", sequence_length=classifier.tokenizer.model_max_length
    )
    tensors = {name: value.detach() for name, value in parameters_by_name(_published(classifier)).items()}
    write_keras_preset(folder, described, tensors, classifier.tokenizer)
    return _read_back(folder)


def _published(classifier: Classifier) -> BertForSequenceClassification:
    """Returns the model of the same weights that others know."""
    with torch.device("meta"):
        model = BertForSequenceClassification(classifier.config)
    model.bert, model.classifier = classifier.model.bert, classifier.model.classifier
    model.config = classifier.config
    return model


def _read_back(folder: Path) -> Predict:
    model = BertForSequenceClassification(read_config(folder)).eval()
    load_tensors(model, *read_tensors(folder), may_be_new=())

    def predict(batch: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = model(**batch, return_dict=True).logits
        return logits

    return predict
