"""The four published vocabularies on real text, against transformers: ids, offsets and masks."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import transformers
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from bertx.bert.tokenization.tokenizer import BertTokenizer
from tests.bert.tokenization.tokenizer_texts import random_text

pytestmark = pytest.mark.data

PUBLISHED = [("uncased", True), ("cased", False), ("multilingual-cased", False), ("chinese", False)]
EVERYTHING = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
LINES = 5000


@pytest.fixture(scope="module", params=PUBLISHED, ids=[name for name, _ in PUBLISHED])
def pair(request, data_folder: Path) -> tuple[BertTokenizer, transformers.BertTokenizer]:
    name, lower = request.param
    ours = BertTokenizer(data_folder / "vocab" / f"bert-base-{name}.txt", do_lower_case=lower)
    return ours, transformers.BertTokenizer(vocab=ours.get_vocab(), do_lower_case=lower)


def lines_of(path: Path) -> Iterator[str]:
    # Only line feeds end a line.
    with path.open(encoding="utf-8", newline="\n") as lines:
        yield from (line.rstrip("\n") for line in itertools.islice(lines, LINES))


def sst2(folder: Path) -> list[str]:
    return [json.loads(line)["text"] for line in lines_of(folder / "sst2" / "train.jsonl")]


def snli(folder: Path) -> tuple[list[str], list[str]]:
    records = [json.loads(line) for line in lines_of(folder / "snli" / "train.jsonl")]
    return [record["sentence1"] for record in records], [record["sentence2"] for record in records]


def goemotions(folder: Path) -> list[str]:
    return [line.split("\t")[0] for line in lines_of(folder / "goemotions" / "train.tsv")]


def wikiann(folder: Path) -> list[str]:
    return [line.split("\t")[0].removeprefix("en:") for line in lines_of(folder / "wikiann_en" / "train")]


def strings(folder: Path) -> list[str]:
    texts = (folder / "strings" / "blns.txt").read_text(encoding="utf-8").split("\n")
    return texts + json.loads((folder / "strings" / "blns.json").read_text(encoding="utf-8"))


def unicode(folder: Path) -> list[str]:
    source = random.Random(0)
    return [random_text(source, 40) for _ in range(2000)]


@pytest.mark.parametrize("texts_of", [sst2, goemotions, wikiann, strings, unicode])
def test_texts_encode_as_in_transformers(pair, data_folder: Path, texts_of) -> None:
    ours, theirs = pair
    texts = texts_of(data_folder)
    assert len(texts) in (LINES, 2000) or texts_of is strings
    expected = theirs(texts, **EVERYTHING)
    assert dict(ours(texts, **EVERYTHING)) == dict(expected)
    ragged = ours.encode_ragged(texts)
    bare = theirs(texts, add_special_tokens=False)["input_ids"]
    assert [row.tolist() for row in np.split(ragged.ids, ragged.offsets[1:-1])] == bare


@pytest.mark.parametrize("options", [{}, {"truncation": True, "max_length": 24, "padding": "max_length"}])
def test_pairs_encode_as_in_transformers(pair, data_folder: Path, options) -> None:
    ours, theirs = pair
    first, second = snli(data_folder)
    assert len(first) == LINES
    assert dict(ours(first, second, **EVERYTHING, **options)) == dict(
        theirs(first, second, **EVERYTHING, **options)
    )


@pytest.mark.parametrize(
    "options", [{"do_basic_tokenize": False}, {"never_split": ["The", "n't", "U.S.", "ﷺ"]}]
)
@pytest.mark.parametrize(("name", "lower"), PUBLISHED)
def test_texts_encode_as_in_the_legacy_class(data_folder: Path, name: str, lower: bool, options) -> None:
    path = data_folder / "vocab" / f"bert-base-{name}.txt"
    ours = BertTokenizer(path, do_lower_case=lower, **options)
    theirs = BertTokenizerLegacy(str(path), do_lower_case=lower, **options)
    for texts_of in (sst2, goemotions, wikiann, strings, unicode):
        texts = texts_of(data_folder)[:400]
        mine = ours(texts, add_special_tokens=False)["input_ids"]
        assert mine == [theirs.encode(text, add_special_tokens=False) for text in texts], texts_of.__name__
