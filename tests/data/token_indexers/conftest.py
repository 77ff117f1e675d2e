"""A vocabulary small enough to know by heart."""

from pathlib import Path

import pytest

PIECES = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
PIECES += ["want", "##want", "##ed", "wa", "un", "runn", "##ing", ",", "low", "lowest"]


@pytest.fixture(scope="session")
def vocabulary_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tiny") / "vocab.txt"
    file.write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    return file
