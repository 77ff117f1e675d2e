"""The bag-of-words baseline is multinomial naive Bayes, with scikit-learn as the oracle."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.naive_bayes import MultinomialNB

from bertx.data.dataset_readers.text_classification_json import TextClassificationJsonReader
from bertx.data.encoding import encode_instances
from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError
from bertx.training.bag_of_words import BagOfWords

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"


def review_splits() -> tuple[Split, Split]:
    indexer = BertPretrainedIndexer(str(FIXTURES / "bert-tiny"), max_pieces=128)
    reader = TextClassificationJsonReader({"bert": indexer})
    files = [FIXTURES / "reviews" / name for name in ("train.jsonl", "test.jsonl")]
    encoded = [encode_instances(reader.read(path), reader.token_indexers) for path in files]
    vocabulary = Vocabulary.from_instances(encoded[0].counts())
    train, test = (Split("reviews", data, SimpleDataLoader(), vocabulary, 0) for data in encoded)
    return train, test


def piece_counts(split: Split) -> list[dict[str, int]]:
    indexed = split.dataset.texts["tokens"]["bert"]
    rows = np.split(np.asarray(indexed.input_ids), np.asarray(indexed.offsets[1:-1]))
    return [{str(piece): count for piece, count in Counter(row.tolist()).items()} for row in rows]


def test_the_baseline_agrees_with_scikit_learn():
    train, test = review_splits()
    # Every piece of the tokenizer takes part in the smoothing, also those that do not occur.
    every_piece = {str(piece): 0 for piece in range(8192)}
    vectorizer = DictVectorizer().fit([every_piece])
    gold = [split.dataset.label_ids("label", split.vocabulary) for split in (train, test)]
    oracle = MultinomialNB().fit(vectorizer.transform(piece_counts(train)), gold[0])
    expected = oracle.score(vectorizer.transform(piece_counts(test)), gold[1])
    assert BagOfWords(train).accuracy(test) == pytest.approx(expected, abs=1e-12)


def test_data_without_labels_are_refused():
    train, _ = review_splits()
    with pytest.raises(ConfigError, match='bag_of_words_baseline: the data have no field "topic" to predict'):
        BagOfWords(train, "topic")
