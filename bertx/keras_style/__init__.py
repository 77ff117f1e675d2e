"""BERT the KerasHub way: `compile`, `fit`, `predict` and `evaluate` on texts, without a config.

Code written for KerasHub changes its imports: `import bertx.keras_style as keras_hub`, the same `as keras`.
All this is a thin face over the model, the trainer, the tokenizer and the checkpoints that configs use.
Random numbers are torch's: `torch.manual_seed` makes everything repeatable.

Source: KerasHub 0.32 with Keras 3.15; names, arguments and defaults are theirs.
"""

from bertx.keras_style import losses, metrics, models, optimizers

__all__ = ["losses", "metrics", "models", "optimizers"]
