"""The keys of config.json: read, checked, written back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bertx.bert.config import BertConfig
from bertx.config.construct import plan
from bertx.errors import CheckpointError, ConfigError


def written(folder: Path, content: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_defaults_are_those_of_bert_base_uncased():
    config = BertConfig()
    sizes = (config.vocab_size, config.hidden_size, config.num_hidden_layers, config.num_attention_heads)
    assert sizes == (30522, 768, 12, 12)
    assert (config.intermediate_size, config.max_position_embeddings) == (3072, 512)


def test_defaults_and_keys_are_those_of_transformers():
    import transformers

    theirs = transformers.BertConfig().to_dict()
    for key, value in BertConfig().to_dict().items():
        assert theirs[key] == value


def test_every_key_of_transformers_is_written():
    import transformers

    own = set(transformers.BertConfig().to_dict()) - set(transformers.PreTrainedConfig().to_dict())
    assert own <= set(BertConfig().to_dict()) | {"model_type"}


def test_unknown_keys_of_a_file_are_kept_and_written_back(tmp_path):
    content = {
        "hidden_size": 24,
        "num_attention_heads": 3,
        "directionality": "bidi",
        "finetuning_task": "mnli",
        "pooler_fc_size": 768,
        "torchscript": False,
        "output_past": True,
        "transformers_version": "4.0.0",
    }
    config = BertConfig.from_file(written(tmp_path, content))
    assert config.extra == {key: content[key] for key in list(content)[2:]}
    assert config.to_dict().items() >= content.items()


def test_transformers_reads_what_is_written(tmp_path):
    import transformers

    settings = {"is_decoder": True, "use_cache": False, "num_labels": 3, "hidden_act": "relu", "foo": [1]}
    written(tmp_path, BertConfig.from_dict(settings).to_dict())
    theirs = transformers.BertConfig.from_pretrained(tmp_path)
    assert (theirs.is_decoder, theirs.use_cache, theirs.hidden_act) == (True, False, "relu")
    assert (theirs.num_labels, theirs.foo) == (3, [1])


def test_what_transformers_writes_is_read_without_a_loss(tmp_path):
    import transformers

    theirs = transformers.BertConfig(
        num_labels=3,
        problem_type="regression",
        classifier_dropout=0.3,
        chunk_size_feed_forward=4,
        bos_token_id=5,
        eos_token_id=[6, 7],
        tie_word_embeddings=False,
        output_hidden_states=True,
    )
    theirs.save_pretrained(tmp_path)
    config = BertConfig.from_folder(tmp_path)
    written(tmp_path, config.to_dict())
    assert transformers.BertConfig.from_pretrained(tmp_path).to_dict() == theirs.to_dict()
    assert (config.num_labels, config.eos_token_id, config.output_hidden_states) == (3, [6, 7], True)


def test_labels_have_default_names_and_two_of_them_are_not_written():
    config = BertConfig()
    assert (config.num_labels, config.id2label) == (2, {0: "LABEL_0", 1: "LABEL_1"})
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1}
    assert config.to_dict().keys().isdisjoint({"num_labels", "id2label", "label2id"})


def test_names_of_labels_count_them(tmp_path):
    path = written(tmp_path, {"id2label": {"0": "no", "1": "yes", "2": "maybe"}, "label2id": None})
    config = BertConfig.from_file(path)
    assert (config.num_labels, config.id2label[2], config.label2id["maybe"]) == (3, "maybe", 2)


def test_a_number_of_labels_wins_over_their_names_with_a_warning(caplog):
    with caplog.at_level("WARNING", "bertx"):
        config = BertConfig(num_labels=3, id2label={0: "no"})
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert caplog.messages == ["num_labels is 3, but id2label names 1; its names are not used"]


def test_an_update_keeps_what_is_not_known():
    config = BertConfig.from_dict({"id2label": {"0": "a", "1": "b", "2": "c"}, "foo": 1})
    assert config.updated({"is_decoder": True}).to_dict() == config.to_dict() | {"is_decoder": True}
    assert config.updated({"num_labels": 2}).id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert config.updated({"id2label": {0: "x"}}).label2id == {"x": 0}


def test_an_activation_may_be_a_function():
    config = BertConfig(hidden_act=torch.tanh).updated({"num_labels": 3})
    assert config.hidden_act is torch.tanh


def test_heads_are_pruned_as_a_file_says(tmp_path):
    config = BertConfig.from_file(written(tmp_path, {"pruned_heads": {"0": [1, 2]}}))
    assert config.pruned_heads == config.to_dict()["pruned_heads"] == {0: [1, 2]}


def test_what_to_dict_gives_reads_as_the_same_config():
    config = BertConfig.from_dict({"hidden_size": 24, "num_attention_heads": 3, "use_cache": True})
    assert BertConfig.from_dict(config.to_dict()).to_dict() == config.to_dict()


@pytest.mark.parametrize(
    ("alias", "name"),
    [("gelu_pytorch_tanh", "gelu_new"), ("swish", "silu"), ("gelu_python", "gelu"), ("relu", "relu")],
)
def test_other_names_of_an_activation_are_accepted_in_files(alias, name):
    assert BertConfig.from_dict({"hidden_act": alias}).hidden_act == name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"hidden_size": 100},
            "hidden_size is 100, which 12 attention heads cannot share equally; "
            "expected a multiple of num_attention_heads",
        ),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0; expected at least 1"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0; expected at least 1"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob is 1.0; expected at least 0 and less than 1"),
        ({"classifier_dropout": -1}, "classifier_dropout is -1; expected at least 0 and less than 1"),
        ({"layer_norm_eps": 0}, "layer_norm_eps is 0; expected more than 0"),
        ({"initializer_range": -0.1}, "initializer_range is -0.1; expected 0 or more"),
        ({"pad_token_id": 30522}, "pad_token_id is 30522; expected 0 to vocab_size - 1 (30521)"),
        ({"vocab_size": "many"}, 'vocab_size is "many"; expected a whole number'),
        ({"vocab_size": True}, "vocab_size is true; expected a whole number"),
        ({"pad_token_id": "0"}, 'pad_token_id is "0"; expected a whole number or null'),
        ({"layer_norm_eps": None}, "layer_norm_eps is null; expected a number"),
        (
            {"hidden_act": "tanh"},
            'hidden_act is "tanh"; expected one of "gelu", "gelu_new", "relu", "silu"',
        ),
        (
            {"hidden_act": ["gelu"]},
            'hidden_act is ["gelu"]; expected one of "gelu", "gelu_new", "relu", "silu"',
        ),
        ({"model_type": "roberta"}, 'model_type is "roberta", which is not supported; expected "bert"'),
        (
            {"position_embedding_type": "relative_key"},
            'position_embedding_type is "relative_key", which is not supported; expected "absolute"',
        ),
        (
            {"add_cross_attention": True},
            "add_cross_attention is true and is_decoder false; expected a decoder",
        ),
        (
            {"problem_type": "single_label_classification", "num_labels": 1},
            'problem_type is "single_label_classification" and num_labels is 1; expected 2 labels or more, '
            'or "regression"',
        ),
        ({"num_labels": 0}, "num_labels is 0; expected at least 1"),
        ({"chunk_size_feed_forward": -1}, "chunk_size_feed_forward is -1; expected 0 or more"),
        ({"use_cache": 1}, "use_cache is 1; expected true or false"),
        (
            {"id2label": ["a"]},
            'id2label is ["a"]; expected an object with whole numbers as keys, each value a string',
        ),
        (
            {"pruned_heads": {"12": [0]}},
            "pruned_heads is {12: [0]}; expected layers 0 to 11 and heads 0 to 11",
        ),
        (
            {"eos_token_id": [1, "2"]},
            'eos_token_id is [1, "2"]; expected a whole number or a list, each a whole number or null',
        ),
    ],
)
def test_an_impossible_setting_is_named_with_its_file(tmp_path, settings, message):
    path = written(tmp_path, settings)
    with pytest.raises(CheckpointError) as caught:
        BertConfig.from_file(path)
    assert str(caught.value) == f"{path}: {message}"


def test_all_problems_of_a_file_are_named_together(tmp_path):
    path = written(tmp_path, {"model_type": "gpt2", "vocab_size": 1.5})
    with pytest.raises(CheckpointError, match=r'(?s)model_type is "gpt2".*\n.*vocab_size is 1\.5'):
        BertConfig.from_file(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"config\.json: there is no such file; expected the config\.json of"
    ):
        BertConfig.from_file(tmp_path / "config.json")


def test_a_file_that_is_not_json_is_named(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(CheckpointError, match=r"config\.json: not JSON \("):
        BertConfig.from_file(tmp_path / "config.json")


def test_a_file_with_a_list_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json: not a JSON object \(found a list\)"):
        BertConfig.from_file(written(tmp_path, [1]))


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        BertConfig.from_file(tmp_path)


def test_a_config_may_describe_a_fresh_encoder():
    config = plan(BertConfig, {"hidden_size": 24, "num_attention_heads": 3, "hidden_act": "relu"}).build()
    assert config == BertConfig(hidden_size=24, num_attention_heads=3, hidden_act="relu")


def test_a_config_may_not_set_unknown_keys():
    with pytest.raises(ConfigError, match=r"hidden_sise.*hidden_size"):
        plan(BertConfig, {"hidden_sise": 24})
    with pytest.raises(ConfigError, match="extra"):
        plan(BertConfig, {"extra": {}})
