"""How often each label occurs: what a Vocabulary is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from bertx.data.instance import Instance, LabelField

Counts: TypeAlias = Mapping[str, Mapping[str, int]]
"""Namespace -> token -> how often it occurs, tokens in the order in which they were first seen."""


def count_labels(instances: Iterable[Instance]) -> dict[str, dict[str, int]]:
    """Counts the labels of instances, per namespace, in first-seen order."""
    counts: dict[str, dict[str, int]] = {}
    for instance in instances:
        for field in instance.fields.values():
            if isinstance(field, LabelField):
                tokens = counts.setdefault(field.label_namespace, {})
                tokens[field.label] = tokens.get(field.label, 0) + 1
    return counts


def add_counts(several: Iterable[Counts]) -> dict[str, dict[str, int]]:
    """Adds the counts of several data sets; first-seen order runs through them in the order given."""
    total: dict[str, dict[str, int]] = {}
    for counts in several:
        for namespace, tokens in counts.items():
            sums = total.setdefault(namespace, {})
            for token, count in tokens.items():
                sums[token] = sums.get(token, 0) + count
    return total
