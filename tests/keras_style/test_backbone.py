"""The encoder alone, its updates of LoRA, and int8."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bertx.bert.checkpoints.keras_h5 import read_weights_file, write_weights_file
from bertx.errors import CheckpointError
from bertx.keras_style.models import BertBackbone, BertTextClassifier
from tests.keras_style.small import LABELS, TEXTS, arrays, backbone, classifier, compiled


def adapted(preset, kerashub) -> BertTextClassifier:
    model = compiled(BertTextClassifier.from_preset(preset))
    model.backbone.load_lora_weights(kerashub / "updates.lora.h5")
    return model


def test_a_backbone_has_as_many_weights_as_its_preset_says():
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 128, "intermediate_dim": 512}
    assert BertBackbone(30522, **sizes).count_params() == 4_385_920


def test_fresh_weights_and_rates_are_those_of_kerashub():
    made = backbone(hidden_dim=64, dropout=0.25)
    # Drawn anew beyond two standard deviations; the tanh approximation of gelu.
    assert 0.0395 < made.model.layers[0].feed_forward.intermediate.weight.abs().max() <= 0.04
    assert made.config.hidden_act == "gelu_new"
    assert (made.config.hidden_dropout_prob, made.config.attention_probs_dropout_prob) == (0.25, 0.25)


def test_a_backbone_encodes_token_ids():
    found = backbone()(arrays())
    assert found["sequence_output"].shape == (2, 12, 8)
    assert found["pooled_output"].shape == (2, 8)


def test_a_backbone_is_saved_and_loaded(tmp_path):
    made = backbone()
    made.save_to_preset(tmp_path / "alone", max_shard_size=None)
    found, wanted = BertBackbone.from_preset(tmp_path / "alone")(arrays()), made(arrays())
    assert torch.equal(found["pooled_output"], wanted["pooled_output"])


def test_a_backbone_without_its_weights_has_its_sizes(preset):
    assert BertBackbone.from_preset(preset, load_weights=False).config.intermediate_size == 12


def test_lora_starts_at_the_model_as_it_is(preset, expected):
    model = BertTextClassifier.from_preset(preset)
    model.backbone.enable_lora(2)
    fresh = model.backbone.model.layers[0].attention.query.lora_a
    assert 0.5 < fresh.abs().max() <= (6 / (2 * 8)) ** 0.5  # heads times hidden
    np.testing.assert_allclose(model.predict(TEXTS), expected["logits"], atol=1e-6, rtol=0)


def test_lora_trains_what_kerashub_trains(preset, kerashub, expected):
    model = adapted(preset, kerashub).model
    trained = {name: value.shape for name, value in model.named_parameters() if value.requires_grad}
    assert sum(shape.numel() for shape in trained.values()) == expected["lora_trainable"]
    assert trained["bert.layers.0.attention.query.lora_a"] == (8, 2, 3)
    assert trained["bert.layers.1.attention.value.lora_b"] == (3, 4)
    assert trained["bert.layers.1.attention.value.bias"] == (8,)


def test_updates_of_kerashub_give_its_logits(preset, kerashub, expected):
    found = adapted(preset, kerashub).predict(TEXTS)
    np.testing.assert_allclose(found, expected["lora_logits"], atol=1e-6, rtol=0)


def test_training_of_updates_gives_the_losses_of_kerashub(preset, kerashub, expected):
    found = adapted(preset, kerashub).fit(TEXTS, LABELS, batch_size=4, epochs=3).history
    assert found["loss"] == pytest.approx(expected["lora_history"]["loss"], abs=2e-6)


def test_updates_are_written_as_kerashub_writes_them(preset, kerashub, tmp_path):
    adapted(preset, kerashub).backbone.save_lora_weights(tmp_path / "again.lora.h5")
    found, wanted = (
        read_weights_file(at / name)
        for at, name in ((tmp_path, "again.lora.h5"), (kerashub, "updates.lora.h5"))
    )
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_a_saved_preset_has_its_updates_merged(preset, kerashub, expected, tmp_path):
    adapted(preset, kerashub).save_to_preset(tmp_path / "merged")
    again = BertTextClassifier.from_preset(tmp_path / "merged")
    np.testing.assert_allclose(again.predict(TEXTS), expected["lora_logits"], atol=1e-6, rtol=0)


def test_lora_can_be_on_other_matrices(tmp_path):
    made, again = backbone(), backbone()
    made.enable_lora(1, target_layer_names=["key"])
    made.save_lora_weights(tmp_path / "key.lora.h5")
    assert set(read_weights_file(tmp_path / "key.lora.h5")) == {
        "lora/vars/rank",
        *(f"lora/{number}/vars/lora_kernel_{part}" for number in (12, 22) for part in "ab"),
    }
    again.load_lora_weights(tmp_path / "key.lora.h5")
    assert again.model.layers[1].attention.key.rank == 1


def test_impossible_updates_are_refused(tmp_path):
    made = backbone()
    with pytest.raises(ValueError, match=r"there are no updates to save; call enable_lora\(rank\) first"):
        made.save_lora_weights(tmp_path / "none.lora.h5")
    with pytest.raises(ValueError, match="rank is 0; expected at least 1"):
        made.enable_lora(0)
    with pytest.raises(ValueError, match="target_layer_names: output; expected some of value, key, query"):
        made.enable_lora(2, ["output"])
    made.enable_lora(2)
    with pytest.raises(ValueError, match="LoRA is enabled already"):
        made.enable_lora(2)
    with pytest.raises(ValueError, match=r"weights.h5: expected a name that ends in .lora.h5"):
        made.save_lora_weights(tmp_path / "weights.h5")


@pytest.mark.parametrize("rank", [None, 2])
def test_updates_of_another_encoder_are_refused(kerashub, rank):
    made = backbone(num_layers=2, hidden_dim=12)
    if rank:
        made.enable_lora(rank)
    before = made(arrays())["pooled_output"]
    with pytest.raises(
        CheckpointError, match=r"lora_kernel_a is \(8, 2, 3\), expected \(12, 2, .\); the upd"
    ):
        made.load_lora_weights(kerashub / "updates.lora.h5")
    assert torch.equal(made(arrays())["pooled_output"], before)
    assert made.trainable


def test_updates_of_a_deeper_encoder_are_refused(kerashub):
    with pytest.raises(CheckpointError, match="lora/21/vars/lora_kernel_a is not the model's; the updates b"):
        backbone(num_layers=1).load_lora_weights(kerashub / "updates.lora.h5")


def test_other_files_are_no_updates(tmp_path):
    write_weights_file(tmp_path / "x.lora.h5", {"lora/vars/other": torch.tensor(2)})
    with pytest.raises(
        CheckpointError, match=r"x.lora.h5: has no lora/vars/rank; expected a file of save_lo"
    ):
        backbone().load_lora_weights(tmp_path / "x.lora.h5")
    write_weights_file(tmp_path / "x.lora.h5", {"lora/vars/rank": torch.tensor(2)})
    with pytest.raises(CheckpointError, match=r"x.lora.h5: everything is not the model's"):
        backbone().load_lora_weights(tmp_path / "x.lora.h5")


def test_int8_computes_what_kerashub_computes(preset, expected):
    model = BertTextClassifier.from_preset(preset)
    model.quantize("int8")
    # A value that float arithmetic puts on the other side of a half is rounded the other way.
    np.testing.assert_allclose(model.predict(TEXTS), expected["int8_logits"], atol=1e-4, rtol=0)


def test_int8_is_a_quarter_as_large():
    made = backbone(hidden_dim=64, intermediate_dim=256)
    before = sum(value.nbytes for value in made.model.state_dict().values())
    made.quantize("int8")
    assert sum(value.nbytes for value in made.model.state_dict().values()) < 0.3 * before


def test_a_quantized_model_only_predicts(tmp_path):
    model = classifier()
    model.quantize("int8")
    assert model.predict(TEXTS).shape == (4, 3)
    for method in (
        lambda: model.fit(TEXTS, LABELS),
        lambda: model.quantize("int8"),
        lambda: model.save_to_preset(tmp_path / "saved"),
        lambda: model.backbone.enable_lora(2),
        lambda: model.backbone.save_to_preset(tmp_path / "saved"),
    ):
        with pytest.raises(ValueError, match="the model is quantized, and can only predict; load it again"):
            method()


def test_impossible_quantization_is_refused():
    model = classifier()
    with pytest.raises(ValueError, match="the mode is 'int4'; expected \"int8\""):
        model.quantize("int4")
    model.backbone.enable_lora(2)
    with pytest.raises(ValueError, match="the model has LoRA enabled; save it to a preset and quantize that"):
        model.quantize("int8")
