"""Every registered component keeps its family's contract.

A new component needs a row here: the smallest settings that build it.
"""

from __future__ import annotations

import pytest

from bertx.bert.encoders import Encoders
from bertx.config.construct import plan
from bertx.config.schema import families
from bertx.data.vocabulary import Vocabulary
from bertx.experiment import register_components
from tests import contracts
from tests.contracts import FIXTURES

register_components()
# Tests define small families of their own; they keep no contract.
FAMILIES = {name: family for name, family in families().items() if family.__module__.startswith("bertx.")}

INDEXERS = {"bert": {"type": "bert-pretrained", "pretrained_model": "fixtures/bert-tiny", "max_pieces": 20}}
TINY = {"vocab_size": 8192, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}

ROWS: dict[str, dict[str, dict[str, object]]] = {
    "BatchSampler": {"bucket": {"batch_size": 8}, "max_tokens_sampler": {"max_tokens": 100}},
    "Collator": {"padding": {}, "masked_language_model": {}},
    "DataLoader": {"simple": {}},
    "DatasetReader": {
        "plain_text": {"token_indexers": INDEXERS},
        "snli": {"token_indexers": INDEXERS},
        "text_classification_csv": {"token_indexers": INDEXERS},
        "text_classification_json": {"token_indexers": INDEXERS},
    },
    "Initializer": {
        "constant": {"val": 0.5},
        "kaiming_uniform": {},
        "normal": {},
        "orthogonal": {},
        "uniform": {},
        "xavier_uniform": {},
        "zero": {},
    },
    "LearningRateScheduler": {"linear_with_warmup": {}},
    "Metric": {"categorical_accuracy": {}, "fbeta": {}, "matthews_correlation": {}},
    "Model": {
        "bert_for_classification": {"bert_model": TINY},
        "masked_language_model": {"bert_model": TINY},
        "sentence_distillation": {"bert_model": TINY, "teacher": "fixtures/bert-tiny"},
    },
    "Optimizer": {"adam": {}, "adamw": {}, "sgd": {"lr": 0.1}},
    "Regularizer": {"l1": {}, "l2": {}},
    "TokenIndexer": {"bert-pretrained": INDEXERS["bert"]},
    "Trainer": {"gradient_descent": {"optimizer": "adamw"}},
    "TrainerCallback": {"metrics_log": {}},
    "Vocabulary": {
        "empty": {},
        "extend": {"directory": "vocabulary"},
        "from_files": {"directory": "vocabulary"},
        "from_instances": {},
    },
}
DATA = {
    "plain_text": ("a.txt", "It was a bright day.\n"),
    "snli": ("a.jsonl", '{"sentence1": "A man.", "sentence2": "A person.", "gold_label": "entailment"}\n'),
    "text_classification_csv": ("a.csv", "text,label\ngood,positive\n"),
    "text_classification_json": ("a.jsonl", '{"text": "good", "label": "positive"}\n'),
}


def members(family: str) -> list[str]:
    return sorted(FAMILIES[family].registry)


def planned(family: str, name: str):
    return plan(FAMILIES[family], {"type": name, **ROWS[family][name]})


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_member_has_a_row(family):
    missing = [name for name in members(family) if name not in ROWS.get(family, {})]
    assert not missing, f"add a row for {missing} of {family}"


@pytest.mark.parametrize(("family", "name"), [(f, n) for f in sorted(ROWS) for n in ROWS[f]])
def test_the_config_survives_a_round_trip(family, name):
    contracts.survives_a_round_trip(FAMILIES[family], {"type": name, **ROWS[family][name]})


@pytest.mark.parametrize("name", members("DatasetReader"))
def test_readers_read_instances(name, tmp_path):
    file, text = DATA[name]
    (tmp_path / file).write_text(text, encoding="utf-8")
    reader = planned("DatasetReader", name).build(encoders=Encoders((FIXTURES.parent,)))
    contracts.reads_instances(reader, tmp_path / file)


@pytest.mark.parametrize("name", members("TokenIndexer"))
def test_token_indexers_index_row_by_row(name):
    contracts.indexes_row_by_row(planned("TokenIndexer", name).build(encoders=Encoders((FIXTURES.parent,))))


@pytest.mark.parametrize("name", members("BatchSampler"))
def test_samplers_cut_every_row_once(name):
    contracts.cuts_every_row_once(planned("BatchSampler", name).build())


@pytest.mark.parametrize("name", members("Metric"))
def test_metrics_count_alike_in_any_batches(name):
    contracts.counts_alike_in_any_batches(planned("Metric", name).build)


@pytest.mark.parametrize("name", members("Optimizer"))
def test_optimizers_step_down(name):
    contracts.takes_a_step_down(planned("Optimizer", name).build)


@pytest.mark.parametrize("name", members("Initializer"))
def test_initializers_fill_in_place(name):
    contracts.fills_in_place(planned("Initializer", name).build())


@pytest.mark.parametrize("name", members("Regularizer"))
def test_regularizers_penalise_size(name):
    contracts.penalises_size(planned("Regularizer", name).build())


@pytest.mark.parametrize("name", members("Model"))
def test_models_report_the_same_metrics_before_and_after(name):
    vocabulary = Vocabulary.from_instances({"labels": {"positive": 1, "negative": 1}})
    model = planned("Model", name).build_with(vocab=vocabulary, encoders=Encoders((FIXTURES.parent,)))
    assert model.get_metrics().keys() == model.get_metrics(reset=True).keys()
    assert len(model.statistics) > 0 and "bert" in model.encoder_configs


@pytest.mark.parametrize("name", members("Model"))
def test_models_train_only_updates_of_their_encoder_with_lora(name):
    settings = {"type": name, **ROWS["Model"][name], "lora": {"rank": 2}}
    vocabulary = Vocabulary.from_instances({"labels": {"positive": 1, "negative": 1}})
    offers = {"vocab": vocabulary, "encoders": Encoders((FIXTURES.parent,))}
    contracts.trains_only_updates(plan(FAMILIES["Model"], settings).build_with(**offers))


def test_rows_name_nothing_that_is_not_registered():
    assert not [(family, name) for family, rows in ROWS.items() for name in set(rows) - set(members(family))]


def test_describing_everything_names_every_member():
    from bertx.config.schema import describe

    text = describe()
    assert all(name in text for family in FAMILIES for name in members(family))
