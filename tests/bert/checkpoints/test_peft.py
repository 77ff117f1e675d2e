import json
import re

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bertx.bert.checkpoints.peft import load_adapter, write_adapter
from bertx.bert.config import BertConfig
from bertx.bert.heads import BertForMaskedLM
from bertx.bert.lora import Lora, add_lora, lora_layers
from bertx.bert.model import BertModel
from bertx.bert.task_heads import BertForSequenceClassification
from bertx.errors import CheckpointError
from tests.bert.reference import SIZES, random_batch, randomized

PEFT_IS_OLDER = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing`:FutureWarning"
)  # than transformers
CONFIG = BertConfig.from_dict(SIZES | {"num_labels": 3})


def base() -> BertForSequenceClassification:
    """A classifier without updates, always the same."""
    return randomized(BertForSequenceClassification(CONFIG), seed=1)


def adapted(**settings: object) -> BertForSequenceClassification:
    """The same with updates and another head."""
    model = base()
    add_lora(model.bert, Lora(**({"rank": 3, "alpha": 6.0} | settings)))
    randomize_trained(model)
    return model


def randomize_trained(model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


def logits(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(**random_batch()).logits


def test_keys_are_those_of_peft(tmp_path):
    write_adapter(adapted(), tmp_path, base="bert-tiny")
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in load_file(tmp_path / "adapter_model.safetensors").items()
    }
    query = "base_model.model.bert.encoder.layer.0.attention.self.query"
    assert len(shapes) == 2 * 2 * 2 + 2
    assert shapes[f"{query}.lora_A.weight"] == (3, 24)
    assert shapes[f"{query}.lora_B.weight"] == (24, 3)
    assert shapes["base_model.model.classifier.weight"] == (3, 24)
    assert json.loads((tmp_path / "adapter_config.json").read_text()) == {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": "bert-tiny",
        "inference_mode": True,
        "r": 3,
        "lora_alpha": 6.0,
        "lora_dropout": 0.0,
        "target_modules": [
            f"bert.encoder.layer.{number}.attention.self.{name}"
            for number in (0, 1)
            for name in ("query", "value")
        ],
        "modules_to_save": ["classifier"],
        "bias": "none",
        "fan_in_fan_out": False,
    }


def test_what_was_written_is_read_back(tmp_path):
    model, fresh = adapted(targets=("output", "intermediate", "pooler.dense")), base()
    write_adapter(model, tmp_path)
    load_adapter(fresh, tmp_path)
    assert torch.equal(logits(fresh), logits(model))
    assert {name for name, parameter in fresh.named_parameters() if parameter.requires_grad} == {
        name for name, parameter in model.named_parameters() if parameter.requires_grad
    }


def test_an_encoder_alone_has_no_prefix(tmp_path):
    model = BertModel(CONFIG)
    add_lora(model, Lora(2, targets=("layers.0.attention.key",)))
    write_adapter(model, tmp_path)
    assert sorted(load_file(tmp_path / "adapter_model.safetensors")) == [
        "base_model.model.encoder.layer.0.attention.self.key.lora_A.weight",
        "base_model.model.encoder.layer.0.attention.self.key.lora_B.weight",
    ]


def test_a_second_adapter_is_refused(tmp_path):
    write_adapter(adapted(), tmp_path)
    with pytest.raises(ValueError, match="has updates already"):
        load_adapter(adapted(), tmp_path)
    with pytest.raises(ValueError, match="no updates to write"):
        write_adapter(base(), tmp_path)


def edit(folder, **changes: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_dora": True}, "adapter_config.json: use_dora is true, which is not supported; expected false"),
        ({"r": None}, "adapter_config.json: not the settings of LoRA"),
        ({"r": 5}, "query.lora_A.weight is (3, 24), expected (5, 24); the updates belong to another encoder"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, changes, message):
    write_adapter(adapted(), tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_adapter(base(), tmp_path)


def test_tensors_that_do_not_fit_leave_the_model_as_it_was(tmp_path):
    write_adapter(adapted(), tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    tensors = load_file(path)
    lost = tensors.pop("base_model.model.bert.encoder.layer.1.attention.self.value.lora_B.weight")
    save_file(tensors, path)
    model = base()
    with pytest.raises(
        CheckpointError, match=r"1 tensors missing, e.g. .*layer.1.attention.self.value.lora_B.weight"
    ):
        load_adapter(model, tmp_path)
    save_file(tensors | {"base_model.model.other": lost}, path)
    with pytest.raises(CheckpointError, match=r"1 tensors not the module's, e.g. base_model.model.other"):
        load_adapter(model, tmp_path)
    assert not list(lora_layers(model))
    assert torch.equal(logits(model), logits(base()))


def test_a_file_cut_short_is_refused(tmp_path):
    write_adapter(adapted(), tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors: damaged or cut short"):
        load_adapter(base(), tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors: damaged or cut short"):
        load_adapter(base(), tmp_path)


@pytest.fixture
def reference(tmp_path):
    """The base of `adapted` as a model of transformers, with another head."""
    base().save_pretrained(tmp_path / "base")
    model = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "base")
    randomized(model.classifier, seed=3)
    return model


@pytest.mark.oracle
@PEFT_IS_OLDER
@pytest.mark.parametrize(
    "targets", [("query", "value"), ("attention.output", "intermediate", "pooler.dense")]
)
def test_peft_computes_the_same_with_our_adapter(tmp_path, reference, targets):
    import peft

    model = adapted(targets=targets)
    write_adapter(model, tmp_path / "adapter")
    theirs = peft.PeftModel.from_pretrained(reference, tmp_path / "adapter").eval()
    assert (logits(theirs) - logits(model)).abs().max() <= 1e-6


@pytest.mark.oracle
@PEFT_IS_OLDER
def test_we_compute_the_same_with_an_adapter_of_peft(tmp_path, reference):
    import peft

    settings = peft.LoraConfig(r=4, lora_alpha=2, target_modules=["key", "dense"], task_type="SEQ_CLS")
    theirs = peft.get_peft_model(reference, settings).eval()
    torch.manual_seed(0)
    for parameter in theirs.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    theirs.save_pretrained(tmp_path / "adapter")
    model = base()
    load_adapter(model, tmp_path / "adapter")
    assert (logits(theirs) - logits(model)).abs().max() <= 1e-5


def masked_lm() -> BertForMaskedLM:
    return randomized(BertForMaskedLM(CONFIG), seed=1)


def test_a_head_with_the_word_embedding_in_it_is_read_back(tmp_path):
    model, fresh = masked_lm(), masked_lm()
    add_lora(model.bert, Lora(2))
    randomize_trained(model)
    write_adapter(model, tmp_path)
    load_adapter(fresh, tmp_path)
    assert torch.equal(logits(fresh), logits(model))
    assert fresh.head.decoder.weight is fresh.bert.embeddings.word.weight
    other = randomized(BertForMaskedLM(CONFIG), seed=4)
    with pytest.raises(CheckpointError, match=r"not the module's, e.g. .*cls\.predictions\.decoder\.weight"):
        load_adapter(other, tmp_path)


@pytest.mark.oracle
@PEFT_IS_OLDER
def test_peft_computes_the_same_with_our_adapter_of_a_masked_language_model(tmp_path):
    import peft

    model = masked_lm()
    model.save_pretrained(tmp_path / "base")
    reference = transformers.BertForMaskedLM.from_pretrained(tmp_path / "base")
    add_lora(model.bert, Lora(2))
    randomize_trained(model)
    write_adapter(model, tmp_path / "adapter")
    theirs = peft.PeftModel.from_pretrained(reference, tmp_path / "adapter").eval()
    assert (logits(theirs) - logits(model)).abs().max() <= 1e-5
