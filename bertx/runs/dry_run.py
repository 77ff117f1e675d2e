"""`bertx train --dry-run`: what a training would take, without training."""

from __future__ import annotations

import numpy as np
import torch

from bertx.data.split import Split
from bertx.runs.preparation import Prepared, TrainingRequest, prepare
from bertx.training.gradient_descent import GradientDescentTrainer


def dry_run(request: TrainingRequest) -> str:
    """Reads the data, builds the model, and says in words what training would take.

    Raises:
        BertxError: As training would.
    """
    prepared = prepare(request)
    trainer = prepared.trainer(None)
    lines = [f"vocabulary {line}" for line in prepared.vocabulary.statistics().splitlines()]
    lines += [_split_line(name, split) for name, split in prepared.splits.items()]
    lines += _truncation_lines(prepared)
    if isinstance(trainer, GradientDescentTrainer):
        lines.append(f"steps: {trainer.num_steps:,} optimizer steps in at most {trainer.num_epochs} epochs")
        lines += _size_lines(prepared, trainer)
    return "\n".join(lines)


def _split_line(name: str, split: Split) -> str:
    lengths = split.dataset.lengths()
    median, high = np.percentile(lengths, [50, 95])
    return (
        f"{name}: {len(split):,} instances; tokens: median {median:.0f}, 95 % up to {high:.0f}, "
        f"longest {lengths.max()}, {lengths.sum():,} in all"
    )


def _truncation_lines(prepared: Prepared) -> list[str]:
    lines = []
    for name, split in prepared.splits.items():
        for text, indexers in split.dataset.texts.items():
            for indexer in indexers:
                rows, tokens = split.dataset.truncated(text, indexer)
                share = rows / len(split)
                lines.append(
                    f"{name}.{text}.{indexer}: {rows:,} texts truncated ({share:.1%}), {tokens:,} tokens lost"
                )
    return lines


def _size_lines(prepared: Prepared, trainer: GradientDescentTrainer) -> list[str]:
    """Estimates memory and disk from the numbers of parameters and of the longest batch's activations."""
    parameters = sum(parameter.numel() for parameter in prepared.model.parameters())
    trained = sum(parameter.numel() for parameter in trainer.parameters)
    split = prepared.splits["train"]
    lengths = split.dataset.lengths()
    batch_tokens = max(
        len(rows) * int(lengths[rows].max())
        for rows in split.loader.plan(split.dataset, seed=split.seed, epoch=0)
    )
    config = prepared.model.encoder_config
    # Per token and layer, autograd keeps about 12 vectors of the hidden size and 2 of the intermediate size;
    # attention weights are not kept by the fused kernels.
    kept = config.num_hidden_layers * (12 * config.hidden_size + 2 * config.intermediate_size)
    activation_bytes = batch_tokens * kept * (2 if trainer.precision == "bf16" else 4)
    weight_bytes = parameters * 4
    # Weights, gradients and the two averages of Adam.
    memory = weight_bytes + trained * 12 + activation_bytes
    disk = 2 * weight_bytes + checkpoint_bytes(prepared, trainer)  # best/ and model.tar.gz
    return [
        f"parameters: {parameters:,}, of which {trained:,} are trained",
        f"memory: about {_megabytes(memory)} beside Python and torch; largest batch {batch_tokens:,} tokens",
        f"disk: about {_megabytes(disk)} for the run folder",
        f"device: {prepared.device}, {torch.get_num_threads()} threads",
    ]


def checkpoint_bytes(prepared: Prepared, trainer: GradientDescentTrainer) -> int:
    """Estimates the size of the checkpoints that a run keeps."""
    weight_bytes = 4 * sum(parameter.numel() for parameter in prepared.model.parameters())
    trained = sum(parameter.numel() for parameter in trainer.parameters)
    checkpointer = trainer.loop.checkpointer
    kept = checkpointer.count or trainer.num_epochs if checkpointer.saves_regularly else 0
    # Each has the weights, the two averages of Adam, and those of a moving average.
    averaged = 0 if trainer.loop.selection.moving_average is None else trained * 4
    return kept * (weight_bytes + trained * 8 + averaged)


def _megabytes(number: int) -> str:
    return f"{number / 2**20:,.0f} MiB"
