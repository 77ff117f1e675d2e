"""How much there is to compute for the real tokens of a data set."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.tasks import reader_of


def training_gflop_per_row(task: str, train_file: str, encoder: str) -> dict[str, float]:
    """Counts the floating-point operations that one epoch of training needs, per row.

    Counted: the products of tokens and matrices in all layers, 2 for each weight and token, and the products
    of tokens with tokens in the attention, 4 * hidden_size for each pair of tokens and layer; three times
    that, because the gradients of both factors cost as much as the product. Not counted: padding, embeddings,
    the pooler and the classifier, normalisation, dropout, the optimizer.

    Source: Kaplan et al. 2020 (Scaling laws for neural language models), section 2.1: 6 per weight and token.
    """
    import numpy as np

    from bertx.bert.config import BertConfig
    from bertx.data.cache import encode_file

    lengths = encode_file(reader_of(task, encoder), Path(train_file), settings_hash=None, cache_folder=None)
    tokens = lengths.lengths().astype(np.float64)
    config = BertConfig.from_file(Path(encoder) / "config.json")
    hidden, layers = config.hidden_size, config.num_hidden_layers
    weights = layers * (4 * hidden**2 + 2 * hidden * config.intermediate_size)
    operations = 6 * weights * tokens.mean() + 12 * layers * hidden * (tokens**2).mean()
    return {"gflop": float(operations) / 1e9, "tokens": float(tokens.mean()), "longest": float(tokens.max())}
