"""`bertx presets`."""

from tests.commands import bertx


def test_the_ten_presets_are_listed_with_their_sizes():
    lines = bertx("presets").out.splitlines()
    assert len(lines) == 11
    assert lines[4].split() == [
        "bert_base_en_uncased",
        "109,482,240",
        "12",
        "768",
        "12",
        "30,522",
        "ignored",
        "keras/bert_base_en_uncased",
        "google-bert/bert-base-uncased",
    ]


def test_presets_are_given_as_json():
    rows = bertx("presets", "--json").rows
    assert rows[-1] == {
        "name": "bert_tiny_en_uncased_sst2",
        "num_parameters": 4385920,
        "num_hidden_layers": 2,
        "hidden_size": 128,
        "num_attention_heads": 2,
        "intermediate_size": 512,
        "vocab_size": 30522,
        "do_lower_case": True,
        "hub_name": "keras/bert_tiny_en_uncased_sst2",
        "kaggle_handle": "kaggle://keras/bert/keras/bert_tiny_en_uncased_sst2/5",
        "twin": None,
        "description": "English Wikipedia and BooksCorpus; SST-2",
    }
