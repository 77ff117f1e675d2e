"""An encoder of random weights, for measurements of speed."""

from __future__ import annotations

from pathlib import Path


def write(preset: str, target: str) -> dict[str, float]:
    """Writes an encoder of a preset's shape in Hugging Face layout."""
    import torch

    from bertx.bert.checkpoints.huggingface import write_directory
    from bertx.bert.model import BertModel
    from bertx.bert.presets import PRESETS

    torch.manual_seed(0)
    write_directory(BertModel(PRESETS[preset].config), Path(target))
    return {}
