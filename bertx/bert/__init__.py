"""BERT itself, in plain PyTorch: usable without the rest of bertx."""

from bertx.bert.checkpoints.huggingface import LoadReport, load_weights, save_weights, write_directory
from bertx.bert.config import BertConfig
from bertx.bert.encoders import Encoders
from bertx.bert.model import BertForMaskedLM, BertModel, BertOutput, BertPredictionHead
from bertx.bert.tokenizer import BertTokenizer

__all__ = [
    "BertConfig",
    "BertForMaskedLM",
    "BertModel",
    "BertOutput",
    "BertPredictionHead",
    "BertTokenizer",
    "Encoders",
    "LoadReport",
    "load_weights",
    "save_weights",
    "write_directory",
]
