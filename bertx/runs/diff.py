"""`bertx diff`: what differs between two runs, or between two files of weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bertx.data.instance import JSON
from bertx.errors import CheckpointError
from bertx.runs.archive import WEIGHTS, open_run
from bertx.runs.differences import Difference, differences
from bertx.runs.weights_diff import Measure, TensorDifference, read_tensors, tensor_differences

WEIGHTS_FILE = "model.safetensors"  # of a checkpoint, or of a folder of Hugging Face


@dataclass(frozen=True)
class Side:
    """One of the two things to compare.

    Attributes:
        name: What the user called it.
        weights: Its file of weights.
        documents: What else it holds, such as `config` and `metrics`; none if it is weights alone.
        vocabulary: The labels of every namespace, in their order.
    """

    name: Path
    weights: Path
    documents: dict[str, dict[str, JSON]] = field(default_factory=dict)
    vocabulary: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunDifference:
    """What differs between two runs.

    Attributes:
        names: What the user called them.
        documents: Differences of `config`, `metrics` and `environment`; none if one is weights alone.
        vocabulary: Differences of the vocabularies, of each namespace that differs.
        tensors: All tensors, those that are the same included.
    """

    names: tuple[Path, Path]
    documents: dict[str, list[Difference]]
    vocabulary: dict[str, LabelDifference]
    tensors: list[TensorDifference]

    def as_json(self) -> dict[str, object]:
        """Returns all differences as one object."""
        return {
            "old": str(self.names[0]),
            "new": str(self.names[1]),
            **{name: [found.as_json() for found in lines] for name, lines in self.documents.items()},
            "vocabulary": {name: found.as_json() for name, found in self.vocabulary.items()},
            "weights": [found.as_json() for found in self.tensors],
        }

    def as_text(self) -> str:
        """Returns all differences as lines for a reader; of the same tensors only the number."""
        lines = [f"old: {self.names[0]}", f"new: {self.names[1]}"]
        for name, found in self.documents.items():
            lines += _section(name, [_with_change(difference) for difference in found])
        if self.documents:
            lines += _section("vocabulary", [f"{n}: {found}" for n, found in self.vocabulary.items()])
        different = [str(found) for found in self.tensors if found.state != "same"]
        lines += _section("weights", different, f" of {len(self.tensors):,} tensors")
        return "\n".join(lines)


@dataclass(frozen=True)
class LabelDifference:
    """How the labels of a namespace differ.

    Attributes:
        added: Labels that are new.
        removed: Labels that are gone.
        renumbered: Labels that have another number.
    """

    added: list[str]
    removed: list[str]
    renumbered: list[str]

    def as_json(self) -> dict[str, object]:
        """Returns the three lists."""
        return {"added": self.added, "removed": self.removed, "renumbered": self.renumbered}

    def __str__(self) -> str:
        lists = {"+": self.added, "-": self.removed, "other numbers:": self.renumbered}
        return "; ".join(f"{mark} {_some(labels)}" for mark, labels in lists.items() if labels)


def diff(old: Path, new: Path, measure: Measure, strip_prefixes: tuple[str, str] = ("", "")) -> RunDifference:
    """Compares two runs, or files of weights; no pickle is opened.

    Args:
        old: A run folder, a `model.tar.gz`, a safetensors file, or a folder with a `model.safetensors`.
        new: Another one.
        measure: How tensors are compared.
        strip_prefixes: Taken off the names of tensors of the one and the other.

    Raises:
        CheckpointError: One cannot be read.
    """
    with ExitStack() as stack:
        before, after = (_open(path, stack) for path in (old, new))
        both_runs = bool(before.documents and after.documents)
        weights = [
            read_tensors(side.weights, prefix)
            for side, prefix in zip((before, after), strip_prefixes, strict=True)
        ]
        return RunDifference(
            (old, new),
            {
                name: list(differences(document, after.documents[name]))
                for name, document in before.documents.items()
                if both_runs
            },
            dict(_label_differences(before.vocabulary, after.vocabulary)) if both_runs else {},
            list(tensor_differences(weights[0], weights[1], measure)),
        )


def _open(path: Path, stack: ExitStack) -> Side:
    if path.suffix == ".safetensors":
        return Side(path, path)
    if path.is_dir() and not (path / "environment.json").exists() and (path / WEIGHTS_FILE).exists():
        return Side(path, path / WEIGHTS_FILE)
    run = stack.enter_context(open_run(path))
    documents = {
        "config": run.config,
        "metrics": _read(run.folder / "metrics.json", path),
        "environment": run.environment,
    }
    namespaces = sorted((run.folder / "vocabulary").glob("*.txt"))
    labels = {file.stem: file.read_text(encoding="utf-8").splitlines() for file in namespaces}
    return Side(path, run.folder / WEIGHTS, documents, labels)


def _read(file: Path, name: Path) -> dict[str, JSON]:
    """Reads the metrics of a run; an unfinished one has none."""
    if not file.exists():
        return {}
    try:
        found: dict[str, JSON] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{name}: {file.name} cannot be read: {error}") from None
    return found


def _label_differences(
    old: dict[str, list[str]], new: dict[str, list[str]]
) -> Iterator[tuple[str, LabelDifference]]:
    for namespace in dict.fromkeys([*old, *new]):
        before, after = (
            {label: number for number, label in enumerate(side.get(namespace, []))} for side in (old, new)
        )
        if before != after:
            yield (
                namespace,
                LabelDifference(
                    [label for label in after if label not in before],
                    [label for label in before if label not in after],
                    [label for label in before if label in after and before[label] != after[label]],
                ),
            )


def _section(name: str, lines: Sequence[str], of_all: str = "") -> list[str]:
    count = f"{len(lines):,}{of_all} differ" if lines else f"the same{of_all and f', all {of_all[4:]}'}"
    return ["", f"{name}: {count}", *(f"  {line}" for line in lines)]


def _with_change(difference: Difference) -> str:
    change = difference.change
    return f"{difference} ({change:+.4g})" if isinstance(change, float) else str(difference)


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 5:,} more" if len(labels) > 5 else ""
    return ", ".join(labels[:5]) + more
