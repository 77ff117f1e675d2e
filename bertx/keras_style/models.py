"""The models: what `keras_hub.models` has of BERT."""

from bertx.keras_style.backbone import BertBackbone
from bertx.keras_style.preprocessor import BertTextClassifierPreprocessor
from bertx.keras_style.text_classifier import BertTextClassifier
from bertx.keras_style.tokenizer import BertTokenizer

# KerasHub finds the class of a preset by its files; here every preset is BERT.
TextClassifier = BertTextClassifier
TextClassifierPreprocessor = BertTextClassifierPreprocessor
Tokenizer = BertTokenizer
Backbone = BertBackbone

__all__ = [
    "Backbone",
    "BertBackbone",
    "BertTextClassifier",
    "BertTextClassifierPreprocessor",
    "BertTokenizer",
    "TextClassifier",
    "TextClassifierPreprocessor",
    "Tokenizer",
]
