"""A token indexer for readers, which need one but never ask it anything."""

from pathlib import Path

import pytest

from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer
from bertx.data.token_indexers.token_indexer import TokenIndexer


@pytest.fixture(scope="session")
def token_indexers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TokenIndexer]:
    file = tmp_path_factory.mktemp("tiny") / "vocab.txt"
    file.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n", encoding="utf-8")
    return {"bert": BertPretrainedIndexer(str(file))}


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Works in the folder of the test, so that places in messages are short."""
    monkeypatch.chdir(tmp_path)
