"""A study whose runs are made up: folders as `bertx ablate` leaves them, in a second."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bertx.ablation.outcome import PREDICTIONS, RunOutcome, StudyOutcome, VariantOutcome, write_outcome

LABELS = ["negative", "positive"]
STEPS = range(10, 310, 10)


def write_run(
    folder: Path,
    gold: Sequence[str],
    predicted: Sequence[str],
    losses: Sequence[float],
    curve: Sequence[float],
) -> None:
    """Writes the predictions and the log of a run."""
    folder.mkdir(parents=True)
    lines = [
        {"id": f"test-{row}", "gold": right, "prediction": guess, "probs": [0.2, 0.8], "loss": loss}
        for row, (right, guess, loss) in enumerate(zip(gold, predicted, losses, strict=True))
    ]
    (folder / PREDICTIONS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    log = [
        {"time": 1.0, "kind": "step", "step": step, "loss": loss, "lr": 1e-4, "grad_norm": 1.0}
        for step, loss in zip(STEPS, curve, strict=True)
    ]
    log += [
        {
            "time": 2.0,
            "kind": "validation",
            "step": step,
            "accuracy": 1 - curve[step // 10 - 1] / 2,
            "loss": 0.4,
        }
        for step in (100, 200, 300)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))


def make_study(
    folder: Path,
    accuracies: Mapping[str, float],
    *,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    gold: Sequence[str] | None = None,
    failed: Sequence[tuple[str, int]] = (),
    degenerate: Sequence[tuple[str, int]] = (),
    num_folds: int | None = None,
    fractions: Sequence[float] = (),
) -> StudyOutcome:
    """Writes a study, with numbers that a seed of their own decides.

    Args:
        folder: Where.
        accuracies: What each variant reaches in the mean; the first is what the others are compared to.
        seeds: Of every variant.
        gold: The labels of the instances.
        failed: Runs that failed.
        degenerate: Runs that predict one class.
        num_folds: Of cross-validation; None: there is none.
        fractions: Of the training data, one for each variant.
    """
    generator = np.random.default_rng(7)
    right = list(gold or generator.choice(LABELS, 200))
    labels = sorted(set(right))
    hardness = generator.normal(size=len(right))
    variants = []
    for number, (name, accuracy) in enumerate(accuracies.items()):
        runs = []
        for seed in seeds:
            for fold in [None] if num_folds is None else range(num_folds):
                luck = generator.normal(scale=0.15)
                place = f"runs/{number}-{seed}" + ("" if fold is None else f"-{fold}")
                run = RunOutcome(name, seed, fold, f"{number}{seed}", "finished", place, {})
                if (name, seed) in failed:
                    error = "the loss is nan; lower the <rate>"
                    runs.append(RunOutcome(name, seed, fold, f"{number}{seed}", "failed", place, {}, error))
                    continue
                logits = 1.6 * (np.log(accuracy / (1 - accuracy)) + luck) - 1.5 * hardness
                hits = generator.logistic(size=len(right)) < logits
                guesses = [
                    x if hit else labels[labels.index(x) - 1] for x, hit in zip(right, hits, strict=True)
                ]
                curve = (
                    0.7 * np.exp(-np.arange(30) / (8 + number)) + 0.05 + generator.normal(scale=0.03, size=30)
                )
                if (name, seed) in degenerate:
                    guesses, curve = [labels[0]] * len(right), 0.69 + generator.normal(scale=0.002, size=30)
                losses = np.where([a == b for a, b in zip(right, guesses, strict=True)], 0.1, 1.5)
                write_run(folder / place, right, guesses, losses.tolist(), curve.tolist())
                metrics = {
                    "accuracy": float(np.mean([a == b for a, b in zip(right, guesses, strict=True)])),
                    "loss": float(losses.mean()),
                    "words": 3.0 + luck,
                }
                runs.append(
                    RunOutcome(
                        name, seed, fold, run.identity, "finished", place, metrics,
                        seconds=20.0 + 5 * number + float(generator.normal()),
                        peak_memory_bytes=10**9 + 10**8 * number, num_parameters=4_385_920,
                        num_trainable_parameters=4_385_920 // (number + 1),
                    )
                )  # fmt: skip
        changes = {} if number == 0 else {"model.dropout": round(0.1 * number, 1)}
        fraction = fractions[number] if fractions else None
        variants.append(VariantOutcome(name, changes, number == 0, fraction, runs))
    design = "data_fraction" if fractions else "one_factor"
    outcome = StudyOutcome(
        folder.name, design, ["accuracy", "loss", "words"], "+accuracy", list(seeds), variants, "test"
    )
    write_outcome(folder, outcome)
    return outcome
