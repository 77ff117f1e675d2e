"""Our heads and those of `transformers` with the same random weights, and random inputs for both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from torch import Tensor

import bertx.bert
from bertx.bert.checkpoints.huggingface import load_tensors
from bertx.bert.config import BertConfig
from tests.bert.reference import randomized

HEADS = (
    "BertModel",
    "BertForPreTraining",
    "BertForMaskedLM",
    "BertLMHeadModel",
    "BertForNextSentencePrediction",
    "BertForSequenceClassification",
    "BertForMultipleChoice",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
)
ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu")


@dataclass
class Random:
    """Draws the sizes and inputs of one case."""

    seed: int

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)

    def number(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def chance(self, percent: int = 50) -> bool:
        return self.number(0, 99) < percent

    def ids(self, *shape: int, high: int) -> Tensor:
        return torch.randint(0, high, shape, generator=self.generator)

    def floats(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator)


def random_config(head: str, random: Random) -> dict[str, object]:
    heads = random.number(1, 4)
    settings: dict[str, object] = {
        "vocab_size": random.number(20, 60),
        "num_attention_heads": heads,
        "hidden_size": heads * random.number(2, 8),
        "num_hidden_layers": random.number(1, 3),
        "intermediate_size": random.number(4, 40),
        "max_position_embeddings": random.number(12, 20),
        "type_vocab_size": random.number(1, 3),
        "hidden_act": ACTIVATIONS[random.number(0, 3)],
        "layer_norm_eps": (1e-12, 1e-5)[random.number(0, 1)],
        "pad_token_id": (0, 3, None)[random.number(0, 2)],
    }
    if head in ("BertForSequenceClassification", "BertForTokenClassification"):
        settings["num_labels"] = random.number(1, 4)
    if head == "BertLMHeadModel" or (head == "BertModel" and random.chance(30)):
        settings["is_decoder"] = True
        settings["add_cross_attention"] = random.chance()
    return settings


def both(head: str, settings: dict[str, object], seed: int = 0) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Builds the reference and our model of the same weights, in evaluation mode."""
    config = transformers.BertConfig(**settings, attn_implementation="eager")
    reference = randomized(getattr(transformers, head)(config), seed)
    ours = getattr(bertx.bert, head)(BertConfig.from_dict(settings)).eval()
    load_tensors(ours, Path("memory"), reference.state_dict(), may_be_new=())
    return reference, ours


def random_inputs(head: str, config: BertConfig, random: Random) -> dict[str, Tensor]:
    """Draws a batch; what may be left out is, half of the time."""
    shape = (random.number(1, 4), random.number(2, 12))
    if head == "BertForMultipleChoice":
        shape = (shape[0], random.number(1, 3), shape[1])
    inputs = {"input_ids": random.ids(*shape, high=config.vocab_size)}
    if random.chance(20):
        inputs = {"inputs_embeds": random.floats(*shape, config.hidden_size)}
    if random.chance(70):
        lengths = random.ids(*shape[:-1], 1, high=shape[-1]) + 1
        inputs["attention_mask"] = (torch.arange(shape[-1]) < lengths).long()
    if random.chance():
        inputs["token_type_ids"] = random.ids(*shape, high=config.type_vocab_size)
    if random.chance(30):
        inputs["position_ids"] = random.ids(*shape, high=config.max_position_embeddings)
    if config.add_cross_attention:
        memory = random.number(1, 6)
        inputs["encoder_hidden_states"] = random.floats(shape[0], memory, config.hidden_size)
        if random.chance():
            lengths = random.ids(shape[0], 1, high=memory) + 1
            inputs["encoder_attention_mask"] = (torch.arange(memory) < lengths).long()
    return inputs | random_labels(head, config, shape, random)


def random_labels(head: str, config: BertConfig, shape: tuple[int, ...], random: Random) -> dict[str, Tensor]:
    batch, tokens = shape[0], shape[-1]
    pieces = random.ids(batch, tokens, high=config.vocab_size)
    pieces[random.floats(batch, tokens) > 1] = -100
    pieces[0, -1] = 1  # there is something to predict
    if head in ("BertForMaskedLM", "BertLMHeadModel"):
        return {"labels": pieces}
    if head == "BertForPreTraining":
        return {"labels": pieces, "next_sentence_label": random.ids(batch, high=2)}
    if head == "BertForNextSentencePrediction":
        return {"labels": random.ids(batch, high=2)}
    if head == "BertForSequenceClassification":
        return {"labels": random_classes(config.num_labels, batch, random)}
    if head == "BertForMultipleChoice":
        return {"labels": random.ids(batch, high=shape[1])}
    if head == "BertForTokenClassification":
        return {"labels": pieces.clamp(max=config.num_labels - 1)}
    if head == "BertForQuestionAnswering":
        ends = {name: random.ids(batch, high=tokens + 2) for name in ("start_positions", "end_positions")}
        return {name: place.index_fill(0, torch.tensor([0]), tokens - 1) for name, place in ends.items()}
    return {}


def random_classes(num_labels: int, batch: int, random: Random) -> Tensor:
    """Draws numbers for one label, several at once or one class of several otherwise."""
    if num_labels == 1:
        return random.floats(batch) if random.chance() else random.floats(batch, 1)
    if random.chance():
        return random.ids(batch, high=num_labels)
    return random.ids(batch, num_labels, high=2).float()


def differences(reference: object, ours: object) -> float:
    """Returns the largest difference of the values of two outputs, which must have the same names."""
    # Without cross-attention, transformers gives an empty tuple of its probabilities.
    assert list(ours) == [
        name for name, value in reference.items() if not (isinstance(value, tuple) and not value)
    ]
    return max(_difference(reference[name], ours[name]) for name in ours)


def _difference(reference: object, ours: object) -> float:
    if isinstance(ours, Tensor):
        assert ours.shape == reference.shape
        return (ours - reference).abs().max().item() if ours.numel() else 0.0
    assert len(ours) == len(reference)
    return max(_difference(one, other) for one, other in zip(reference, ours, strict=True))
