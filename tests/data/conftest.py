"""A tokenizer small enough to know by heart, and what is needed around it."""

from pathlib import Path

import pytest

from bertx.data.dataset_readers.text_classification_json import TextClassificationJsonReader
from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer
from tests.data.small import LINES

# Ids 0 to 4 are special, 5 to 9 start a word, 10 to 12 continue one.
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcde", "##x", "##y", "##z"]


@pytest.fixture(scope="session")
def pieces_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pieces") / "vocab.txt"
    file.write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def indexer(pieces_file: Path) -> BertPretrainedIndexer:
    return BertPretrainedIndexer(str(pieces_file))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(LINES), encoding="utf-8")
    return path


@pytest.fixture
def reader(indexer) -> TextClassificationJsonReader:
    return TextClassificationJsonReader({"bert": indexer})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"
