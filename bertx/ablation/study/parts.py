"""Parts of the training data, as the dataset readers of a config that read them."""

from __future__ import annotations

import copy

from bertx.ablation.study.study_file import Config, Folds

READER, VALIDATION_READER = "dataset_reader", "validation_dataset_reader"
TRAIN, VALIDATION = "train_data_path", "validation_data_path"


def with_fold(config: Config, folds: Folds, fold: int) -> Config:
    """Returns a config that trains on all of the training data but one part, and validates on that part.

    The data for validation and testing that it had are left out.
    """
    made = _validating_apart(config)
    part = {"k": folds.k, "fold": fold, "stratify": folds.stratify, "path": made[TRAIN]}
    made[READER] = {"type": "fold", "reader": made[READER], **part}
    made[VALIDATION_READER] = {"type": "fold", "reader": made[VALIDATION_READER], **part, "held_out": True}
    made[VALIDATION] = made[TRAIN]
    for key in ("test_data_path", "evaluate_on_test"):
        made.pop(key, None)
    return made


def with_fraction(config: Config, fraction: float, *, stratify: str | None, seed: int) -> Config:
    """Returns a config that trains on a part of the training data; seeds have other parts."""
    made = _validating_apart(config)
    made[READER] = {
        "type": "fraction",
        "reader": made[READER],
        "path": made[TRAIN],
        "fraction": fraction,
        "stratify": stratify,
        "seed": seed,
    }
    return made


def _validating_apart(config: Config) -> Config:
    """Copies a config so that the reader for validation does not follow what is done to that for training."""
    made = copy.deepcopy(config)
    if made.get(VALIDATION_READER) is None:
        made[VALIDATION_READER] = copy.deepcopy(made[READER])
    return made
