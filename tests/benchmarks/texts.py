"""Texts to predict for: phrases, sentences, passages and whole pages, the same every time."""

from __future__ import annotations

import random
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tests.benchmarks.rows import read_rows

SHARES = {"phrase": 0.5, "sentence": 0.4, "passage": 0.1}
WORDS_OF_A_PASSAGE = (20, 300)
NUM_PASSAGES = 20_000
WORDS_OF_A_PAGE = 600  # more than 512 pieces, so that every text is cut


def mixed_texts(data: Path, number: int) -> list[str]:
    """Returns texts of SST-2 (half), of SNLI (four in ten) and passages of novels, in random order."""
    generator = random.Random(0)
    words = _words(data)
    lengths = (generator.randint(*WORDS_OF_A_PASSAGE) for _ in range(NUM_PASSAGES))
    pools = {
        "phrase": [row["text"] for row in read_rows(data / "sst2" / "train.jsonl")],
        "sentence": [row["sentence1"] for row in read_rows(data / "snli" / "train.jsonl")],
        "passage": [" ".join(islice(words, length)) for length in lengths],
    }
    kinds = generator.choices(list(SHARES), weights=list(SHARES.values()), k=number)
    return [generator.choice(pools[kind]) for kind in kinds]


def pages(data: Path, number: int) -> list[str]:
    """Returns pieces of novels of 600 words, one after the other."""
    words = _words(data)
    return [" ".join(islice(words, WORDS_OF_A_PAGE)) for _ in range(number)]


def _words(data: Path) -> Iterator[str]:
    """Gives the words of the novels, one novel after the other in the order of the archive."""
    with tarfile.open(data / "novels.tar.xz") as archive:
        for member in archive:
            if (file := archive.extractfile(member)) is not None:
                yield from file.read().decode("utf-8-sig").split()
