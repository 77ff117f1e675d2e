"""Every registered component keeps its family's contract.

A new component needs a row here: the smallest settings that build it.
"""

from __future__ import annotations

import pytest

from bertx.bert.encoders import Encoders
from bertx.config.construct import plan
from bertx.config.schema import families
from bertx.data.vocabulary import Vocabulary
from bertx.models.losses.classification_loss import Classes
from bertx.runs.planning import register_components
from bertx.runs.preparation import TrainingRequest, prepare
from tests import contracts
from tests.contracts import FIXTURES
from tests.tiny import workplace
from tests.training.optimizers.problem import OPTIMIZERS, SPARSE

register_components()
# Tests define small families of their own; they keep no contract.
FAMILIES = {name: family for name, family in families().items() if family.__module__.startswith("bertx.")}

INDEXERS = {"bert": {"type": "bert-pretrained", "pretrained_model": "fixtures/bert-tiny", "max_pieces": 20}}
TINY = {"vocab_size": 8192, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
PART_OF = {"type": "text_classification_json", "token_indexers": INDEXERS}

ROWS: dict[str, dict[str, dict[str, object]]] = {
    "BatchSampler": {"bucket": {"batch_size": 8}, "max_tokens_sampler": {"max_tokens": 100}},
    "ClassificationLoss": {"cross_entropy": {}, "focal": {}},
    "Checkpointer": {"default": {}},
    "Collator": {"padding": {}, "masked_language_model": {}},
    "DataLoader": {"simple": {}},
    "DatasetReader": {
        "fold": {"reader": PART_OF, "path": "train.jsonl", "k": 2, "fold": 0},
        "fraction": {"reader": PART_OF, "path": "train.jsonl", "fraction": 0.5},
        "plain_text": {"token_indexers": INDEXERS},
        "snli": {"token_indexers": INDEXERS},
        "text_classification_csv": {"token_indexers": INDEXERS},
        "text_classification_json": {"token_indexers": INDEXERS},
    },
    "Initializer": {
        "block_orthogonal": {"split_sizes": [2, 3]},
        "constant": {"val": 0.5},
        "dirac": {},
        "eye": {},
        "kaiming_normal": {},
        "kaiming_uniform": {},
        "lstm_hidden_bias": {},
        "normal": {},
        "orthogonal": {},
        "pretrained": {"weights_file_path": (FIXTURES / "bert-tiny" / "model.safetensors").as_posix()},
        "prevent": {},
        "sparse": {"sparsity": 0.5},
        "uniform": {},
        "uniform_unit_scaling": {},
        "xavier_normal": {},
        "xavier_uniform": {},
        "zero": {},
    },
    "LearningRateScheduler": {
        "combined": {"schedulers": [[2, "constant"], [1, "linear_with_warmup"]]},
        "constant": {},
        "constant_with_warmup": {"num_warmup_steps": 2},
        "cosine": {"t_initial": 2},
        "cosine_hard_restarts_with_warmup": {"num_warmup_steps": 2, "num_cycles": 2},
        "cosine_with_warmup": {"num_warmup_steps": 2},
        "exponential": {},
        "fixed": {},
        "invsqrt": {"warmup_updates": 2},
        "linear": {},
        "linear_with_warmup": {},
        "multi_step": {"milestones": [1, 3]},
        "noam": {"model_size": 8, "warmup_steps": 2},
        "none": {},
        "parlai_cosine": {},
        "polynomial_decay": {},
        "reduce_on_plateau": {},
        "reduceonplateau": {},
        "slanted_triangular": {},
        "step": {"step_size": 2},
    },
    "Metric": {"categorical_accuracy": {}, "fbeta": {}, "matthews_correlation": {}},
    "Model": {
        "bert_for_classification": {"bert_model": TINY},
        "from_archive": {"archive_file": "run"},
        "masked_language_model": {"bert_model": TINY},
        "sentence_distillation": {"bert_model": TINY, "teacher": "fixtures/bert-tiny"},
    },
    "Objective": {"distillation": {"teacher": "run"}, "fgm": {}, "plain": {}, "r_drop": {}},
    "MomentumScheduler": {"inverted_triangular": {"cool_down": 1, "warm_up": 2}},
    "MovingAverage": {"exponential": {}, "stochastic_weight_average": {}},
    "Optimizer": OPTIMIZERS,
    "Regularizer": {"l1": {}, "l2": {}},
    "TokenIndexer": {"bert-pretrained": INDEXERS["bert"]},
    "Trainer": {"gradient_descent": {"optimizer": "adamw"}},
    "TrainerCallback": {
        "console": {},
        "gpu_memory": {},
        "metrics_log": {},
        "mlflow": {"tracking_uri": "sqlite:///mlflow.db"},
        "parameter_statistics": {},
        "tensorboard": {},
        "wandb": {"mode": "offline"},
    },
    "Vocabulary": {
        "empty": {},
        "extend": {"directory": "vocabulary"},
        "from_files": {"directory": "vocabulary"},
        "from_instances": {},
    },
}
# What "from_archive" gives is one of the others; it has tests of its own.
MODELS = sorted({*ROWS["Model"]} - {"from_archive"})
DATA = {
    "fold": ("a.jsonl", '{"text": "good", "label": "positive"}\n'),
    "fraction": ("a.jsonl", '{"text": "good", "label": "positive"}\n'),
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
    contracts.takes_a_step_down(planned("Optimizer", name).build, is_sparse=name in SPARSE)


@pytest.mark.parametrize("name", sorted({*members("Initializer")} - {"prevent"}))
def test_initializers_fill_in_place(name):
    shapes = {"dirac": (4, 6, 3), "lstm_hidden_bias": (8,), "pretrained": (2, 256)}
    contracts.fills_in_place(planned("Initializer", name).build(), shapes.get(name, (4, 6)))


@pytest.mark.parametrize("name", members("ClassificationLoss"))
def test_losses_are_small_where_the_label_is_likely(name):
    build = planned("ClassificationLoss", name).build
    contracts.prefers_the_label(build(classes=Classes(["a", "b", "c"])))


@pytest.mark.parametrize("name", members("Objective"))
def test_objectives_make_gradients_and_nothing_else(name, trained, tmp_path):
    prepared = prepare(TrainingRequest(workplace(tmp_path / "place")))
    settings = {"teacher": trained.run.as_posix()} if name == "distillation" else ROWS["Objective"][name]
    offers = {"train": prepared.splits["train"], "device": prepared.device}
    objective = plan(FAMILIES["Objective"], {"type": name, **settings}).build_with(**offers)
    contracts.makes_gradients_only(objective, prepared.model, next(prepared.splits["train"].batches(0)))


@pytest.mark.parametrize("name", members("Regularizer"))
def test_regularizers_penalise_size(name):
    contracts.penalises_size(planned("Regularizer", name).build())


@pytest.mark.parametrize("name", MODELS)
def test_models_report_the_same_metrics_before_and_after(name):
    vocabulary = Vocabulary.from_instances({"labels": {"positive": 1, "negative": 1}})
    model = planned("Model", name).build_with(vocab=vocabulary, encoders=Encoders((FIXTURES.parent,)))
    assert model.get_metrics().keys() == model.get_metrics(reset=True).keys()
    assert len(model.statistics) > 0 and "bert" in model.encoder_configs


@pytest.mark.parametrize("name", MODELS)
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
