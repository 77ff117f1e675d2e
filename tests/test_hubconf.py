"""The page of BERT on PyTorch Hub, step by step, with a tiny model under the name that the page uses."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from bertx.bert import BertConfig, BertForPreTraining, BertTokenizer

REPOSITORY = Path(__file__).parent.parent
HUBCONF = str(REPOSITORY / "hubconf.py")
NAME = "bert-base-cased"
TEXT = "[CLS] Who was Jim Henson ? [SEP] Jim Henson was a puppeteer [SEP]"
CUT = "[CLS] Who was Jim Hen ##son ? [SEP] Jim Hen ##son was a puppet ##eer [SEP]"
PIECES = ["[PAD]", "[UNK]", "[MASK]", *dict.fromkeys(CUT.split()), "Hello", "##,", "World", "##!"]
SEGMENTS = torch.tensor([[0] * 8 + [1] * 8])
MASKED = 8
ENTRIES = [
    "bertForMaskedLM",
    "bertForMultipleChoice",
    "bertForNextSentencePrediction",
    "bertForPreTraining",
    "bertForQuestionAnswering",
    "bertForSequenceClassification",
    "bertForTokenClassification",
    "bertModel",
    "bertTokenizer",
]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A folder that holds `bert-base-cased`: small, and trained to fill in one gap."""
    folder = tmp_path_factory.mktemp("checkpoints")
    tokenizer = BertTokenizer({piece: number for number, piece in enumerate(PIECES)}, do_lower_case=False)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertForPreTraining(BertConfig(vocab_size=len(PIECES), max_position_embeddings=32, **sizes)).eval()
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(tokenizer.tokenize(TEXT))])
    hidden = ids.clone()
    hidden[0, MASKED] = tokenizer.mask_token_id
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        model(hidden, None, SEGMENTS, labels=ids, next_sentence_label=torch.tensor([0])).loss.backward()
        optimizer.step()
    model.save_pretrained(folder / NAME, tokenizer)
    return folder


@pytest.fixture
def load(checkpoints, monkeypatch):
    monkeypatch.chdir(checkpoints)

    def from_hub(entry, **options):
        return torch.hub.load(str(REPOSITORY), entry, NAME, source="local", **options)

    return from_hub


@pytest.fixture
def tokenizer(load):
    return load("bertTokenizer", do_basic_tokenize=False)


@pytest.fixture
def tokens(tokenizer):
    return torch.tensor([tokenizer.convert_tokens_to_ids(tokenizer.tokenize(TEXT))])


def test_the_repository_offers_the_nine_entries_of_the_page():
    callables = {name: value for name, value in runpy.run_path(HUBCONF).items() if callable(value)}
    public = {name: value for name, value in callables.items() if not name.startswith("_")}
    assert sorted(public) == ENTRIES
    assert all(entry.__doc__.startswith("Returns the ") for entry in public.values())


def test_a_missing_dependency_is_named(monkeypatch, tmp_path):
    (tmp_path / "hubconf.py").write_text("dependencies = ['torch', 'no_such_module']\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="Missing dependencies: no_such_module"):
        torch.hub.load(str(tmp_path), "bertModel", source="local")


def test_the_tokenizer_cuts_at_spaces_only(tokenizer):
    assert tokenizer.tokenize(TEXT) == CUT.split()
    assert tokenizer.tokenize("Hello, World!") == ["Hello", "##,", "World", "##!"]


def test_the_encoder_gives_hidden_states_and_pooled_vectors(load, tokens):
    hidden_states, pooled = load("bertModel")(tokens, SEGMENTS)
    assert (hidden_states.shape, pooled.shape) == ((1, 16, 16), (1, 16))


def test_the_second_argument_is_the_segments(load, tokens):
    model = load("bertModel")
    found = model(tokens, SEGMENTS)[0]
    assert torch.equal(found, model(tokens, token_type_ids=SEGMENTS)[0])
    assert not torch.allclose(found, model(tokens)[0])
    mask = torch.arange(16)[None] < 12
    assert torch.equal(model(tokens, SEGMENTS, mask)[0], model(tokens, SEGMENTS, attention_mask=mask)[0])


def test_the_masked_token_is_found(load, tokenizer, tokens):
    tokens[0, MASKED] = tokenizer.mask_token_id
    model = load("bertForMaskedLM")
    with torch.no_grad():
        predictions = model(tokens, SEGMENTS)
    best = torch.argmax(predictions[0][0, MASKED]).item()
    assert tokenizer.convert_ids_to_tokens([best])[0] == "Jim"


def test_old_labels_of_minus_one_have_no_loss(load, tokens):
    model = load("bertForMaskedLM")
    labels = torch.full_like(tokens, -1)
    labels[0, 3] = tokens[0, 3]
    loss, logits = model(tokens, SEGMENTS, None, labels)
    assert loss.item() == pytest.approx(-logits[0, 3].log_softmax(dim=0)[tokens[0, 3]].item(), abs=1e-6)


def test_the_order_of_sentences_is_scored(load, tokens):
    (logits,) = load("bertForNextSentencePrediction")(tokens, SEGMENTS)
    assert logits.shape == (1, 2) and logits.argmax().item() == 0


def test_questions_are_answered(load, tokens):
    model = load("bertForQuestionAnswering")
    start_logits, end_logits = model(tokens, SEGMENTS)
    assert start_logits.shape == end_logits.shape == (1, 16)
    start, end = torch.tensor([12]), torch.tensor([14])
    loss = model(tokens, SEGMENTS, start_positions=start, end_positions=end)[0]
    by_hand = -(start_logits.log_softmax(dim=1)[0, 12] + end_logits.log_softmax(dim=1)[0, 14]) / 2
    torch.testing.assert_close(loss, by_hand)


def test_sequences_are_classified(load, tokens):
    model = load("bertForSequenceClassification", num_labels=3)
    assert model(tokens, SEGMENTS)[0].shape == (1, 3)
    loss, logits = model(tokens, SEGMENTS, labels=torch.tensor([1]))
    torch.testing.assert_close(loss, -logits.log_softmax(dim=1)[0, 1])


def test_tokens_are_classified(load, tokens):
    model = load("bertForTokenClassification", num_labels=2)
    labels = torch.tensor([[0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0]])
    loss, logits = model(tokens, SEGMENTS, labels=labels)
    assert logits.shape == (1, 16, 2)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits[0], labels[0]))


def test_one_of_several_is_chosen(load, tokens):
    model = load("bertForMultipleChoice", num_choices=2)
    pair, segments = torch.stack([tokens, tokens], dim=1), torch.stack([SEGMENTS, SEGMENTS], dim=1)
    loss, logits = model(pair, segments, labels=torch.tensor([1]))
    assert logits.shape == (1, 2)
    assert loss.item() == pytest.approx(0.693147, abs=1e-5)  # two equal choices: ln 2


def test_pretraining_gives_both_logits_and_both_losses(load, tokens):
    model = load("bertForPreTraining")
    prediction_logits, order_logits = model(tokens, SEGMENTS)
    assert (prediction_logits.shape, order_logits.shape) == ((1, 16, len(PIECES)), (1, 2))
    loss = model(tokens, SEGMENTS, None, tokens, torch.tensor([0]))[0]
    both = -prediction_logits.log_softmax(dim=2)[0, range(16), tokens[0]].mean()
    torch.testing.assert_close(loss, both - order_logits.log_softmax(dim=1)[0, 0])
