"""BERT itself, in plain PyTorch: usable without the rest of bertx."""

from bertx.bert.checkpoints.conversion import read_checkpoint, write_checkpoint
from bertx.bert.checkpoints.huggingface import LoadReport, load_weights, save_weights, write_directory
from bertx.bert.checkpoints.peft import load_adapter, write_adapter
from bertx.bert.config import BertConfig
from bertx.bert.encoder_decoder import EncoderDecoder
from bertx.bert.encoder_decoder_config import EncoderDecoderConfig
from bertx.bert.encoders import Encoders
from bertx.bert.heads import BertForMaskedLM, BertForNextSentencePrediction, BertForPreTraining
from bertx.bert.language_model import BertLMHeadModel
from bertx.bert.lora import Lora, add_lora, merge_lora
from bertx.bert.model import BertModel
from bertx.bert.outputs import BertForPreTrainingOutput, BertOutput
from bertx.bert.prediction_head import BertPredictionHead
from bertx.bert.presets import PRESETS
from bertx.bert.task_heads import (
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from bertx.bert.tokenization.batch_encoding import BatchEncoding
from bertx.bert.tokenization.packing import SegmentPacker
from bertx.bert.tokenization.tokenizer import BertTokenizer

__all__ = [
    "PRESETS",
    "BatchEncoding",
    "BertConfig",
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
    "BertForPreTrainingOutput",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertLMHeadModel",
    "BertModel",
    "BertOutput",
    "BertPredictionHead",
    "BertTokenizer",
    "EncoderDecoder",
    "EncoderDecoderConfig",
    "Encoders",
    "LoadReport",
    "Lora",
    "SegmentPacker",
    "add_lora",
    "load_adapter",
    "load_weights",
    "merge_lora",
    "read_checkpoint",
    "save_weights",
    "write_adapter",
    "write_checkpoint",
    "write_directory",
]
