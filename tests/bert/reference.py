"""The reference encoder of `transformers`, small and random, for tests that compare with it."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from torch import Tensor

from bertx.bert.checkpoints.huggingface import load_weights
from bertx.bert.config import BertConfig
from bertx.bert.model import BertModel

SIZES: dict[str, int] = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 16,
}


def reference_config(**settings: int | str | float) -> transformers.BertConfig:
    return transformers.BertConfig(**(SIZES | settings), attn_implementation="eager")


def randomized(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Gives every parameter, biases included, a value that a mixed-up name would betray."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.2
            parameter.copy_(noise + 1 if name.endswith("LayerNorm.weight") else noise)
    return model.eval()


def reference_model(**settings: int | str | float) -> transformers.BertModel:
    return randomized(transformers.BertModel(reference_config(**settings)))


def ours_from(folder: Path) -> BertModel:
    model = BertModel(BertConfig.from_file(folder / "config.json"))
    load_weights(model, folder)
    return model.eval()


def both_models(folder: Path, **settings: int | str | float) -> tuple[transformers.BertModel, BertModel]:
    """Builds the reference and our model of the same weights."""
    reference = reference_model(**settings)
    reference.save_pretrained(folder)
    return reference, ours_from(folder)


def random_batch(batch: int = 4, tokens: int = 9, vocab_size: int = 50) -> dict[str, Tensor]:
    """Makes sequences of different lengths, the first without padding, in two segments."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor(
        [tokens, *torch.randint(1, tokens + 1, (batch - 1,), generator=generator).tolist()]
    )
    return {
        "input_ids": torch.randint(0, vocab_size, (batch, tokens), generator=generator),
        "attention_mask": torch.arange(tokens) < lengths[:, None],
        "token_type_ids": torch.randint(0, 2, (batch, tokens), generator=generator),
    }
