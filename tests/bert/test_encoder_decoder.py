"""An encoder and a decoder together: warm start, training, writing, and files."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
import transformers

from bertx.bert.config import BertConfig
from bertx.bert.encoder_decoder import EncoderDecoder
from bertx.bert.encoder_decoder_config import EncoderDecoderConfig
from bertx.bert.heads import BertForMaskedLM
from bertx.bert.model import BertModel
from bertx.errors import CheckpointError, ConfigError
from tests.bert.reference import SIZES, randomized, reference_config

IDS = torch.randint(5, 50, (3, 7), generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[1] * 7, [1, 1, 1, 0, 0, 0, 0], [1] * 7])
LABELS = torch.tensor([[5, 6, -100, -100], [9, 8, 7, 6], [5, 5, 5, -100]])


def reference(folder: Path, hidden_size: int = 24) -> transformers.EncoderDecoderModel:
    """Writes a random reference whose decoder may have another size than its encoder."""
    encoder = reference_config()
    decoder = reference_config(is_decoder=True, add_cross_attention=True, hidden_size=hidden_size)
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config._attn_implementation = "eager"
    config.decoder_start_token_id, config.pad_token_id = 2, 1
    model = randomized(transformers.EncoderDecoderModel(config))
    model.generation_config.decoder_start_token_id, model.generation_config.pad_token_id = 2, 1
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("hidden_size", [24, 12])
def test_logits_and_loss_are_those_of_transformers(tmp_path, hidden_size):
    theirs = reference(tmp_path, hidden_size)
    ours = EncoderDecoder.from_pretrained(tmp_path)
    assert ours.load_report.new == ours.load_report.unexpected == ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about checkpoints of 2021
        wanted = theirs(IDS, MASK, labels=LABELS)
    got = ours(IDS, MASK, labels=LABELS)
    torch.testing.assert_close(got.logits, wanted.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.loss, wanted.loss, atol=1e-5, rtol=1e-5)
    got.loss.backward()
    wanted.loss.backward()
    torch.testing.assert_close(
        ours.encoder.embeddings.word.weight.grad,
        theirs.encoder.embeddings.word_embeddings.weight.grad,
        atol=1e-4,
        rtol=1e-4,
    )


@pytest.mark.parametrize("hidden_size", [24, 12])
@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("eos_token_id", [None, [3, 7, 9, 11, 20]])
def test_texts_are_those_of_transformers(tmp_path, hidden_size, num_beams, eos_token_id):
    theirs = reference(tmp_path, hidden_size)
    ours = EncoderDecoder.from_pretrained(tmp_path)
    settings = {"max_new_tokens": 12, "num_beams": num_beams, "eos_token_id": eos_token_id}
    wanted = theirs.generate(IDS, attention_mask=MASK, do_sample=False, **settings)
    assert torch.equal(ours.generate(IDS, MASK, **settings), wanted)
    assert torch.equal(ours.generate(IDS, MASK, use_cache=False, **settings), wanted)


@pytest.mark.parametrize("hidden_size", [24, 12])
def test_transformers_reads_what_we_write_with_difference_zero(tmp_path, hidden_size):
    theirs = reference(tmp_path / "theirs", hidden_size)
    EncoderDecoder.from_pretrained(tmp_path / "theirs").save_pretrained(tmp_path / "ours")
    again = transformers.EncoderDecoderModel.from_pretrained(tmp_path / "ours", attn_implementation="eager")
    wanted = theirs(IDS, MASK, decoder_input_ids=IDS).logits
    assert torch.equal(again(IDS, MASK, decoder_input_ids=IDS).logits, wanted)
    assert again.config.decoder_start_token_id == 2


def two_checkpoints(folder: Path) -> tuple[BertModel, BertForMaskedLM]:
    reader = randomized(BertModel(BertConfig(**SIZES)), seed=1)
    writer = randomized(BertForMaskedLM(BertConfig(**SIZES)), seed=2)
    reader.save_pretrained(folder / "reader")
    writer.save_pretrained(folder / "writer")
    return reader, writer


def test_two_checkpoints_start_an_encoder_and_a_decoder(tmp_path):
    reader, writer = two_checkpoints(tmp_path)
    model = EncoderDecoder.from_encoder_decoder_pretrained(
        tmp_path / "reader", tmp_path / "writer", decoder_start_token_id=2, eos_token_id=3
    )
    assert torch.equal(model.encoder(IDS).pooled, reader(IDS).pooled)
    copied = dict(model.decoder.named_parameters())
    for name, parameter in writer.named_parameters():
        assert torch.equal(copied.pop(name), parameter)
    assert len(copied) == 2 * 10  # the cross-attention of two layers: four matrices and a norm each
    assert all("cross_attention" in name for name in copied)
    assert {name.split(".")[3] for name in model.decoder.load_report.new} == {"crossattention"}
    assert (model.config.decoder.is_decoder, model.config.eos_token_id) == (True, 3)


def test_a_warm_start_learns_to_write(tmp_path):
    two_checkpoints(tmp_path)
    torch.manual_seed(0)
    model = EncoderDecoder.from_encoder_decoder_pretrained(
        tmp_path / "reader", tmp_path / "writer", decoder_start_token_id=2
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    targets = torch.tensor([[5, 6, 7, 3], [9, 8, 7, 3], [5, 5, 4, 3]])
    for _ in range(150):
        optimizer.zero_grad()
        model(IDS, MASK, labels=targets).loss.backward()
        optimizer.step()
    assert torch.equal(model.generate(IDS, MASK, eos_token_id=3)[:, 1:], targets)


def test_a_decoders_cache_goes_on(tmp_path):
    reference(tmp_path)
    model = EncoderDecoder.from_pretrained(tmp_path)
    wanted = model(IDS, MASK, decoder_input_ids=IDS)
    first = model(IDS, MASK, decoder_input_ids=IDS[:, :4])
    second = model(
        attention_mask=MASK,
        encoder_outputs=model.encoder(IDS, MASK),
        decoder_input_ids=IDS[:, 4:],
        past_key_values=first.past_key_values,
    )
    torch.testing.assert_close(second.logits, wanted.logits[:, 4:], atol=1e-5, rtol=1e-5)


def test_what_is_asked_for_is_returned_of_both():
    decoder = BertConfig(**SIZES, is_decoder=True, add_cross_attention=True)
    model = EncoderDecoder(EncoderDecoderConfig(BertConfig(**SIZES), decoder, decoder_start_token_id=2))
    output = model(IDS, MASK, decoder_input_ids=IDS[:, :2], output_attentions=True, output_hidden_states=True)
    assert list(output) == [
        "logits",
        "past_key_values",
        "decoder_hidden_states",
        "decoder_attentions",
        "cross_attentions",
        "encoder_last_hidden_state",
        "encoder_hidden_states",
        "encoder_attentions",
    ]
    assert output.cross_attentions[0].shape == (3, 3, 2, 7)


def test_without_a_start_token_nothing_can_be_written():
    decoder = BertConfig(**SIZES, is_decoder=True, add_cross_attention=True)
    model = EncoderDecoder(EncoderDecoderConfig(BertConfig(**SIZES), decoder))
    with pytest.raises(ConfigError, match=r"decoder_start_token_id is not set; expected the id of \[CLS\]"):
        model.generate(IDS)


def test_a_decoder_without_cross_attention_is_refused():
    with pytest.raises(ConfigError, match=r"decoder\.add_cross_attention is false; a decoder needs it"):
        EncoderDecoderConfig(BertConfig(), BertConfig(is_decoder=True))


def test_a_config_keeps_what_it_does_not_know(tmp_path):
    reference(tmp_path)
    settings = EncoderDecoder.from_pretrained(tmp_path).settings()
    assert EncoderDecoderConfig.from_dict(settings).to_dict() == settings
    assert settings["transformers_version"] == transformers.__version__


def test_a_plain_encoder_is_no_encoder_and_decoder(tmp_path):
    BertModel(BertConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(
        CheckpointError,
        match=r'(?s)config\.json: model_type is "bert"; expected.*\n.*encoder is null; expected',
    ):
        EncoderDecoder.from_pretrained(tmp_path)
