"""Finds the name that a user probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def distance(left: str, right: str) -> int:
    """Counts the single-character edits between two words.

    Deletion, insertion, replacement and the swap of two neighbours each count 1.
    Source: Damerau 1964; this is the optimal string alignment variant.

    Example:
        distance("lr", "rl") == 1
    """
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left, start=1):
        row = [i]
        for j, b in enumerate(right, start=1):
            best = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                best = min(best, rows[i - 2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


def nearest(word: str, preferred: Iterable[str], others: Iterable[str] = ()) -> str | None:
    """Finds the known name closest to a word, or None if nothing is close.

    Args:
        word: What the user wrote.
        preferred: Names that win over `others` at the same distance, such as keys not used yet.
        others: The remaining names.
    """
    first = list(dict.fromkeys(preferred))
    known = first + [name for name in dict.fromkeys(others) if name not in first]
    ranked = sorted(known, key=lambda name: (_cost(word, name), name not in first, -_ratio(word, name), name))
    return ranked[0] if ranked and _cost(word, ranked[0]) <= _allowed(word, ranked[0]) else None


def is_slip(word: str, name: str) -> bool:
    """Says whether one slip of a finger turns `name` into `word`."""
    return word != name and abs(len(word) - len(name)) <= 1 and distance(word, name) == 1


def did_you_mean(word: str, preferred: Iterable[str], others: Iterable[str] = ()) -> str:
    """Words the suggestion for a message: `; did you mean "lr"?`, or nothing."""
    found = nearest(word, preferred, others)
    return f'; did you mean "{found}"?' if found is not None else ""


def _cost(word: str, name: str) -> int:
    """The edits between two names; spelling variants and abbreviations count as one slip."""
    if abs(len(word) - len(name)) > 40:
        return 99
    plain = distance(word, name)
    same_letters = re.sub(r"[-_ ]", "", word).lower() == re.sub(r"[-_ ]", "", name).lower()
    if plain > 1 and (same_letters or _initials(word) == name or (word and _initials(name) == word)):
        return 1
    stub = len(word) >= 3 and name.startswith(word)
    return min(plain, 2) if stub else plain


def _allowed(word: str, name: str) -> int:
    if name.startswith(word) and len(word) >= 3:
        return 2
    return max(1, min(3, max(len(word), len(name)) // 3))


def _ratio(word: str, name: str) -> float:
    return difflib.SequenceMatcher(None, word, name, autojunk=False).ratio()


def _initials(name: str) -> str:
    """`learning_rate` -> `lr`; empty for a single word."""
    words = [word for word in re.split(r"[-_ ]", name) if word]
    return "".join(word[0] for word in words) if len(words) > 1 else ""
